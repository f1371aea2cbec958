import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { splitStart, withStart } from '#src/formats/startFactors.js';
import { CHUNK_ELEMENTS } from '#src/formats/tensors/source.js';
import { floatSource, numbers, readAll } from './tensors.js';

/** The plain adapter of twice the rank, against the product it stands for; factors of more than one chunk. */

const [OUT, IN, RANK] = [40_961, 1031, 29];
const names = ['A', 'B'].map((factor) => `model.layers.0.mlp.up_proj.lora_${factor}.weight`);
const shapes = [
  [RANK, IN],
  [OUT, RANK],
] as const;
const factors = (seed: number) =>
  shapes.map((shape, i) => floatSource(names[i]!, shape, numbers({ shape }, seed + i)));
const [trained, start] = [factors(1), factors(5)];

const test = suite('start factors');

test('[B, -B0] [A; A0] is B A - B0 A0', async () => {
  assert.ok(OUT * RANK > CHUNK_ELEMENTS);
  const joined = withStart(trained, start);
  assert.equal(
    joined.map(({ name, shape }) => [name, shape]),
    [
      [names[0], [2 * RANK, IN]],
      [names[1], [OUT, 2 * RANK]],
    ],
  );
  const product = (b: Float32Array, a: Float32Array, rank: number, i: number, j: number) => {
    let sum = 0;
    for (let k = 0; k < rank; k++) sum += b[i * rank + k]! * a[k * IN + j]!;
    return sum;
  };
  const [a, b] = [await readAll(joined[0]!), await readAll(joined[1]!)];
  const [own, first] = [
    await Promise.all(trained.map((x) => readAll(x))),
    await Promise.all(start.map((x) => readAll(x))),
  ];
  for (const [i, j] of [
    [0, 0],
    [OUT - 1, IN - 1],
    [36_158, 77],
    [12_345, 1030],
  ] as const) {
    const wanted = product(own[1]!, own[0]!, RANK, i, j) - product(first[1]!, first[0]!, RANK, i, j);
    assert.ok(Math.abs(product(b, a, 2 * RANK, i, j) - wanted) < 1e-12 * Math.max(1, Math.abs(wanted)));
  }
});

test('all four come back bit for bit, and by range', async () => {
  const split = splitStart(withStart(trained, start));
  for (const [found, wanted] of [
    [split.trained, trained],
    [split.start, start],
  ] as const) {
    for (const [i, source] of found.entries()) {
      assert.equal([source.name, source.shape], [wanted[i]!.name, wanted[i]!.shape]);
      const [is, was] = [await readAll(source), await readAll(wanted[i]!)];
      assert.ok(Buffer.from(is.buffer).equals(Buffer.from(was.buffer)));
      assert.equal(await readAll(source, 100, 133), was.slice(100, 133));
    }
  }
});

test.run();
