import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { randomStream } from '#src/data/random.js';
import { type Change, changeFacts } from '#src/training/dynamics/change.js';
import { singularTriplets } from '#src/training/starts/singular.js';

/** What an adapter has made of a weight, against dW written out. */

const [OUT, IN] = [37, 29];
const random = (length: number, seed: number, size = 1): Float32Array => {
  const stream = randomStream(seed, 0);
  return Float32Array.from({ length }, (_, i) => size * (stream(i) / 2 ** 31 - 1));
};
const weight = { out: OUT, inputs: IN, data: random(OUT * IN, 1) };
const subspaces = [singularTriplets(weight, 'first', 4), singularTriplets(weight, 'last', 6)];

/** dW, row by row. */
function written({ rank, scale, a, b, a0, b0 }: Change): Float64Array {
  return Float64Array.from({ length: OUT * IN }, (_, at) => {
    const [i, j] = [Math.floor(at / IN), at % IN];
    let sum = 0;
    for (let k = 0; k < rank; k++) {
      sum += b[i * rank + k]! * a[k * IN + j]!;
      if (a0 && b0) sum -= b0[i * rank + k]! * a0[k * IN + j]!;
    }
    return scale * sum;
  });
}

const changeOf = (rank: number, moved?: number): Change => {
  const [a, b] = [random(rank * IN, 2), random(OUT * rank, 3)];
  const change = { out: OUT, inputs: IN, rank, scale: 1.7, a, b };
  if (moved === undefined) return change;
  const near = (data: Float32Array, seed: number) => {
    const by = random(data.length, seed, moved);
    return data.map((x, i) => x + by[i]!);
  };
  return { ...change, a0: near(a, 4), b0: near(b, 5) };
};

const squares = (x: Float64Array) => x.reduce((sum, value) => sum + value * value, 0);
const close = (found: number, wanted: number, what: string, tolerance = 1e-12) =>
  assert.ok(Math.abs(found - wanted) <= tolerance * Math.abs(wanted), `${what}: ${found} for ${wanted}`);

const dynamics = suite('dynamics');

for (const [what, change] of [
  ['rank 1', changeOf(1)],
  ['rank 5', changeOf(5)],
  ['a start that is far away', changeOf(4, 0.5)],
  ['as many columns as there are, and more', changeOf(20, 0.1)],
] as const) {
  dynamics(`${what}: norm, stable rank and shares are those of dW`, () => {
    const dense = written(change);
    const { norm, stableRank, alignments } = changeFacts(change, subspaces);
    close(norm, Math.sqrt(squares(dense)), 'norm');
    const data = Float32Array.from(dense);
    const largest = singularTriplets({ out: OUT, inputs: IN, data }, 'first', 1).values[0]!;
    close(stableRank, squares(dense) / largest ** 2, 'stable rank', 1e-6);
    subspaces.forEach(({ left, right }, s) => {
      let [ofLeft, ofRight] = [0, 0];
      for (const u of left) {
        for (let j = 0; j < IN; j++) {
          ofLeft += u.reduce((sum, x, i) => sum + x * dense[i * IN + j]!, 0) ** 2;
        }
      }
      for (const v of right) {
        for (let i = 0; i < OUT; i++) {
          ofRight += v.reduce((sum, x, j) => sum + x * dense[i * IN + j]!, 0) ** 2;
        }
      }
      close(alignments[s]!.left, ofLeft / squares(dense), 'left', 1e-10);
      close(alignments[s]!.right, ofRight / squares(dense), 'right', 1e-10);
    });
  });
}

dynamics('the first singular triplet itself is all in its subspaces, and has stable rank 1', () => {
  const { values, left, right } = subspaces[0]!;
  const change = {
    ...{ out: OUT, inputs: IN, rank: 1, scale: values[0]! },
    ...{ a: Float32Array.from(right[0]!), b: Float32Array.from(left[0]!) },
  };
  const { norm, stableRank, alignments } = changeFacts(change, subspaces);
  close(norm, values[0]!, 'norm', 1e-6);
  close(stableRank, 1, 'stable rank');
  for (const side of ['left', 'right'] as const) {
    close(alignments[0]![side], 1, side, 1e-6);
    assert.ok(alignments[1]![side] < 1e-12);
  }
});

dynamics('one step of a tiny rate keeps its digits', () => {
  const change = changeOf(8, 1e-6);
  const dense = written(change);
  close(changeFacts(change, []).norm, Math.sqrt(squares(dense)), 'norm', 1e-8);
});

dynamics('nothing has changed: a norm of 0, and no direction', () => {
  const change = changeOf(3, 0);
  const { norm, stableRank, alignments } = changeFacts(change, subspaces);
  assert.is(norm, 0);
  assert.ok(Number.isNaN(stableRank) && Number.isNaN(alignments[0]!.left));
});

dynamics.run();
