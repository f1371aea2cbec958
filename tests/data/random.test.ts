import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { permutation, randomStream, randomUint32, shortSeed } from '#src/data/random.js';

test('the numbers stay what they are: resumes of older runs depend on them', () => {
  assert.equal(
    [0, 1, 2].map((counter) => randomUint32(0, 0, counter)),
    [246052113, 742263600, 1506253524],
  );
  assert.equal([...permutation(8, 7, 3)], [1, 6, 2, 5, 4, 7, 3, 0]);
});

/** Numbers of which `count` are drawn from each of so many streams, as pairs of neighbours. */
function sharedPairs(of: (stream: number) => (counter: number) => number, streams: number, count: number) {
  const seen = new Set<number>();
  let shared = 0;
  for (let stream = 0; stream < streams; stream++) {
    const random = of(stream);
    let before = random(0);
    for (let i = 1; i < count; i++) {
      const next = random(i);
      // 53 bits of the 64: a pair that is met by chance is one in a thousand such tests.
      const pair = before * 2 ** 21 + (next >>> 11);
      if (seen.has(pair)) shared++;
      seen.add(pair);
      before = next;
    }
  }
  return shared;
}

test('streams share no numbers: matrices are drawn from streams of one seed', () => {
  // A seed that gives two streams the same numbers in one sequence for all, as orders are drawn.
  const [seed, streams, count] = [81, 80, 6000];
  assert.ok(sharedPairs((stream) => (i) => randomUint32(seed, stream, i), streams, count) > 1000);
  assert.is(
    sharedPairs((stream) => randomStream(seed, stream), streams, count),
    0,
  );
});

for (const [what, of] of Object.entries({
  randomUint32,
  randomStream: (seed: number, stream: number, counter: number) => randomStream(seed, stream)(counter),
}))
  test(`each of seed, stream and counter changes every bit of ${what} half the time`, () => {
    const base: [number, number, number] = [12345, 678, 9];
    for (let argument = 0; argument < 3; argument++) {
      const flips = new Uint32Array(32);
      const trials = 4000;
      for (let i = 0; i < trials; i++) {
        const here: [number, number, number] = [...base];
        here[argument]! += i;
        const there: [number, number, number] = [...here];
        there[argument]! += 1;
        const changed = of(...here) ^ of(...there);
        for (let bit = 0; bit < 32; bit++) flips[bit]! += (changed >>> bit) & 1;
      }
      // Six standard deviations of a fair coin.
      for (const count of flips) assert.ok(Math.abs(count - trials / 2) < 3 * Math.sqrt(trials), `${flips}`);
    }
  });

test('seeds and streams beyond 32 bits count whole', () => {
  assert.is.not(randomUint32(1, 0, 0), randomUint32(1 + 2 ** 32, 0, 0));
  assert.is.not(randomUint32(0, 1, 0), randomUint32(0, 1 + 2 ** 40, 0));
});

test('permutations hold each index once', () => {
  for (const length of [0, 1, 2, 17, 1000]) {
    const sorted = [...permutation(length, 5, length)].sort((a, b) => a - b);
    assert.equal(
      sorted,
      Array.from({ length }, (_, i) => i),
    );
  }
});

test('all 24 permutations of four come equally often', () => {
  const counts = new Map<string, number>();
  const trials = 24_000;
  for (let stream = 0; stream < trials; stream++) {
    const key = permutation(4, 99, stream).join();
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  assert.is(counts.size, 24);
  for (const count of counts.values()) assert.ok(Math.abs(count - 1000) < 200, `${[...counts]}`);
});

test('seeds that fit into 32 bits stay as they are, longer ones are others than their last 32 bits', () => {
  for (const seed of [0, 1, 2 ** 32 - 1]) assert.is(shortSeed(seed), seed);
  const long = [0, 1, 2, 2 ** 20].flatMap((high) => [0, 1, 7].map((low) => high * 2 ** 32 + low));
  assert.is(new Set(long.map(shortSeed)).size, long.length);
});

test.run();
