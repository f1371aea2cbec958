import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { randomStream } from '#src/data/random.js';
import type { End, Triplets } from '#src/training/starts/bidiagonal.js';
import { type Matrix, singularTriplets } from '#src/training/starts/singular.js';
import { projectRoot } from '../../support.js';

/** Singular triplets against their definition, and against LAPACK's. */

const ENDS: readonly End[] = ['first', 'last'];
const dot = (x: ArrayLike<number>, y: ArrayLike<number>): number => {
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += x[i]! * y[i]!;
  return sum;
};
const norm = (x: ArrayLike<number>): number => Math.sqrt(dot(x, x));

function matrixOf(out: number, inputs: number, element: (i: number, j: number) => number): Matrix {
  const data = Float32Array.from({ length: out * inputs }, (_, k) =>
    element(Math.floor(k / inputs), k % inputs),
  );
  return { out, inputs, data };
}

function randomMatrix(out: number, inputs: number, seed = 1): Matrix {
  const random = randomStream(seed, 0);
  return matrixOf(out, inputs, (i, j) => random(i * inputs + j) / 2 ** 31 - 1);
}

/** How far vectors are from orthonormal, and the triplets from W v = s u and W^T u = s v, over the norm of W. */
function errorsOf({ out, inputs, data }: Matrix, { values, left, right }: Triplets) {
  let [orthogonality, residual] = [0, 0];
  for (const vectors of [left, right]) {
    vectors.forEach((x, i) => {
      for (let j = 0; j <= i; j++) {
        orthogonality = Math.max(orthogonality, Math.abs(dot(x, vectors[j]!) - Number(i === j)));
      }
    });
  }
  values.forEach((value, k) => {
    const [u, v] = [left[k]!, right[k]!];
    const back = new Float64Array(inputs);
    const image = Float64Array.from({ length: out }, (_, i) => {
      const row = data.subarray(i * inputs, (i + 1) * inputs);
      row.forEach((w, j) => {
        back[j]! += w * u[i]!;
      });
      return dot(row, v) - value * u[i]!;
    });
    residual = Math.max(residual, norm(image), norm(back.map((x, j) => x - value * v[j]!)));
  });
  return { orthogonality, residual: residual / (norm(data) || 1) };
}

function check(w: Matrix, end: End, count: number): Triplets {
  const triplets = singularTriplets(w, end, count);
  const { orthogonality, residual } = errorsOf(w, triplets);
  const what = `${w.out} x ${w.inputs}, ${end} ${count}`;
  assert.ok(orthogonality < 1e-13, `${what}: vectors are orthonormal to ${orthogonality}`);
  assert.ok(residual < 1e-14, `${what}: residuals ${residual}`);
  triplets.right.forEach((v) => {
    assert.ok(v[v.reduce((most, x, i) => (Math.abs(x) > Math.abs(v[most]!) ? i : most), 0)]! > 0);
  });
  assert.ok(triplets.values.every((value, i) => value >= 0 && (i === 0 || value <= triplets.values[i - 1]!)));
  return triplets;
}

const definition = suite('singular triplets');

for (const [out, inputs, count] of [
  [1, 1, 1],
  [1, 7, 1],
  [7, 1, 1],
  [2, 2, 2],
  [8, 8, 3],
  [31, 32, 31],
  [33, 33, 33],
  [64, 64, 5],
  [65, 97, 65],
  [200, 40, 40],
  [40, 200, 7],
  [151, 100, 20],
] as const) {
  definition(`${out} x ${inputs}: the definition holds at both ends, and they are all there are`, () => {
    const w = randomMatrix(out, inputs);
    const [first, last] = ENDS.map((end) => check(w, end, count));
    if (count < Math.min(out, inputs)) {
      assert.ok(last!.values[0]! < first!.values[count - 1]!);
      return;
    }
    // The sum of the squares of all singular values is that of the elements.
    const squares = dot(first!.values, first!.values);
    assert.ok(Math.abs(squares - dot(w.data, w.data)) < 1e-13 * squares);
    assert.ok(norm(first!.values.map((value, i) => value - last!.values[i]!)) < 1e-14 * first!.values[0]!);
  });
}

const random = randomStream(3, 0);
const STRANGE: Record<string, Matrix> = {
  zeros: matrixOf(20, 30, () => 0),
  'a single element': matrixOf(25, 18, (i, j) => Number(i === 24 && j === 3)),
  identity: matrixOf(70, 70, (i, j) => Number(i === j)),
  'all the same': matrixOf(40, 33, () => 0.37),
  'blocks of zeros': matrixOf(48, 48, (i, j) => (i < 20 === j < 30 ? random(i * 48 + j) / 2 ** 32 : 0)),
  'columns over thirty decades': matrixOf(
    36,
    36,
    (i, j) => (random(i * 36 + j) / 2 ** 31 - 1) * 10 ** (15 - j),
  ),
  'rows over thirty decades': matrixOf(
    60,
    30,
    (i, j) => (random(i * 30 + j) / 2 ** 31 - 1) * 10 ** (15 - i / 2),
  ),
  'rows that each are 1e-5 of the one before': matrixOf(
    10,
    10,
    (i, j) => (random(i * 10 + j) / 2 ** 31 - 1) * 10 ** (-5 * i),
  ),
  'whole numbers of rank 1': matrixOf(64, 64, (i, j) => (i % 3) * (j % 5)),
  'a matrix of rank 1': matrixOf(13, 39, (i, j) => ((i % 7) - 2) * ((j % 4) - 1)),
  'largest numbers': matrixOf(12, 12, (i, j) => (random(i * 12 + j) / 2 ** 31 - 1) * 3e38),
  'smallest numbers': matrixOf(
    12,
    12,
    (i, j) => Math.round(9 * (random(i * 12 + j) / 2 ** 31 - 1)) * 2 ** -149,
  ),
  // Pairs of values that agree to 14 digits (Wilkinson's W21+), and copies of them glued together.
  "Wilkinson's, glued": matrixOf(84, 84, (i, j) => {
    if (i === j) return Math.abs(10 - (i % 21));
    return Math.abs(i - j) === 1 ? (Math.min(i, j) % 21 === 20 ? 2 ** -30 : 1) : 0;
  }),
};

for (const [what, w] of Object.entries(STRANGE)) {
  definition(`${what}: the definition holds at both ends`, () => {
    const most = Math.min(w.out, w.inputs);
    for (const end of ENDS) for (const count of [most, Math.ceil(most / 3)]) check(w, end, count);
  });
}

definition('the same bits every time', () => {
  const w = randomMatrix(50, 70);
  assert.equal(singularTriplets(w, 'first', 9), singularTriplets(w, 'first', 9));
});

definition.run();

interface Golden {
  readonly shape: readonly [number, number];
  readonly matrix: string;
  readonly values: string;
  readonly left: string;
  readonly right: string;
}

const { cases } = JSON.parse(readFileSync(join(projectRoot, 'tests/goldens/svd/svd.json'), 'utf8')) as {
  cases: Record<string, Golden>;
};
const bytes = (base64: string) => Uint8Array.from(Buffer.from(base64, 'base64')).buffer;
const doubles = (base64: string) => new Float64Array(bytes(base64));
const vectorsOf = (base64: string, length: number) => {
  const all = doubles(base64);
  return Array.from({ length: all.length / length }, (_, i) => all.subarray(i * length, (i + 1) * length));
};

/** Ranges of values that are nearer to each other than `gap` of the largest. */
function clustersOf(values: Float64Array, gap: number): [from: number, to: number][] {
  const clusters: [number, number][] = [];
  values.forEach((value, i) => {
    const last = clusters.at(-1);
    if (last && values[i - 1]! - value <= gap * values[0]!) last[1] = i + 1;
    else clusters.push([i, i + 1]);
  });
  return clusters;
}

/** The largest element of the difference of the projectors on two spans of as many orthonormal vectors. */
function projectorDistance(some: readonly Float64Array[], others: readonly Float64Array[]): number {
  let most = 0;
  const { length } = some[0]!;
  for (let i = 0; i < length; i++) {
    for (let j = 0; j <= i; j++) {
      const at = (vectors: readonly Float64Array[]) => vectors.reduce((sum, x) => sum + x[i]! * x[j]!, 0);
      most = Math.max(most, Math.abs(at(some) - at(others)));
    }
  }
  return most;
}

const lapack = suite("LAPACK's triplets");

for (const [name, golden] of Object.entries(cases)) {
  lapack(`${name}: values, vectors where they have a gap, and what clusters span`, () => {
    const [out, inputs] = golden.shape;
    const w = { out, inputs, data: new Float32Array(bytes(golden.matrix)) };
    const wanted = {
      values: doubles(golden.values),
      left: vectorsOf(golden.left, out),
      right: vectorsOf(golden.right, inputs),
    };
    const p = wanted.values.length;
    for (const end of ENDS) {
      const found = singularTriplets(w, end, p);
      const distance = Math.max(...found.values.map((value, i) => Math.abs(value - wanted.values[i]!)));
      assert.ok(distance < 1e-14 * wanted.values[0]!, `values differ by ${distance}`);
      for (const [from, to] of clustersOf(wanted.values, 1e-3)) {
        // Rounding mixes them with others over their distance: of a matrix that is not square, with those of 0.
        const near = Math.min(1e-3, wanted.values[to - 1]! / wanted.values[0]!);
        for (const side of ['left', 'right'] as const) {
          const off = projectorDistance(found[side].slice(from, to), wanted[side].slice(from, to));
          assert.ok(off < 1e-14 / near, `${side} ${from} to ${to}: ${off}`);
        }
      }
    }
  });
}

lapack.run();
