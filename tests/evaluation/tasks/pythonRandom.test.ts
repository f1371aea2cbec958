import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { PythonRandom } from '#src/evaluation/tasks/pythonRandom.js';

/** Against CPython 3.11: `random.Random(seed)`, `getrandbits(32)` and `sample(range(n), k)`. */

const tests = suite('random numbers of CPython');

tests('bits', () => {
  for (const [seed, expected] of [
    [1234, [4150886329, 3342196574, 1892932127]],
    [0, [3626764237, 1654615998, 3255389356]],
    [2 ** 32 - 1, [2728839433, 2661025012, 872737089]],
  ] as const) {
    const random = new PythonRandom(seed);
    assert.equal(
      Array.from({ length: 3 }, () => random.bits()),
      expected,
    );
  }
});

tests('bits after the state was made anew', () => {
  const random = new PythonRandom(1234);
  let last = 0;
  for (let i = 0; i < 2000; i++) last = random.bits();
  assert.is(last, 881902874);
});

tests('samples, from a list of all numbers and from a set of those drawn', () => {
  for (const [n, k, first, second] of [
    [8, 3, [7, 0, 6], [1, 6, 4]],
    [1, 1, [0], [0]],
    [5, 0, [], []],
    // From here on k is above 5, and the list is longer.
    [85, 6, [56, 14, 0, 11, 74, 4], [10, 12, 45, 30, 2, 3]],
    [7473, 5, [6374, 3610, 957, 61, 742], [7462, 6610, 4769, 286, 5501]],
    // 21 is the longest list for so few.
    [21, 5, [14, 3, 0, 2, 1], [2, 3, 11, 7, 0]],
    [22, 5, [14, 3, 0, 2, 18], [1, 21, 2, 3, 11]],
  ] as const) {
    const random = new PythonRandom(1234);
    assert.equal(random.sample(n, k), first, `${n}, ${k}`);
    assert.equal(random.sample(n, k), second, `${n}, ${k}`);
  }
  const whole = new PythonRandom(7).sample(40, 40);
  assert.equal(
    [...whole].sort((a, b) => a - b),
    Array.from({ length: 40 }, (_, i) => i),
  );
});

tests.run();
