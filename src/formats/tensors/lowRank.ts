import { asBytes, readFloats, readWhole } from './floats.js';
import type { TensorSource } from './source.js';

/** A low-rank change s B A of a matrix [out, in]. */
export interface LowRank {
  /** [out, rank] */
  readonly b: TensorSource;
  /** [rank, in] */
  readonly a: TensorSource;
  /** s */
  readonly scale: number;
}

/**
 * W + s1 B1 A1 + s2 B2 A2 + ..., F32: what LoRA adapters make of a weight (Hu et al. 2021), and with a negative s what is
 * left of it. Each element of a B A is added up in f64 in the order of the rank, multiplied by s, added to W's in f64, and
 * the sum is rounded once. W is in memory by the chunk; factors are small, and whole while it is read.
 * @throws RangeError when W is no matrix or the factors are not of its shape
 */
export function lowRankSource(weight: TensorSource, changes: readonly LowRank[]): TensorSource {
  for (const change of changes) checkShapes(weight, change);
  const [, columns = 0] = weight.shape;
  return {
    ...weight,
    dtype: 'F32',
    async *read(from, to) {
      const loaded: LoadedChange[] = [];
      for (const { a, b, scale } of changes) {
        loaded.push({ a: await readWhole(a), b: await readWhole(b), rank: a.shape[0]!, scale });
      }
      for await (const { first, data } of readFloats(weight, from, to)) {
        yield { first, bytes: asBytes(changed(data, first, columns, loaded)) };
      }
    },
  };
}

function checkShapes(weight: TensorSource, { a, b }: LowRank): void {
  const [rows, columns] = weight.shape;
  const [rank] = a.shape;
  const isFitting = String(a.shape) === `${rank},${columns}` && String(b.shape) === `${rows},${rank}`;
  if (weight.shape.length === 2 && isFitting) return;
  throw new RangeError(
    `tensor ${weight.name}: expected a matrix, B [out, rank] and A [rank, in], ` +
      `found [${weight.shape}], [${b.shape}] and [${a.shape}]`,
  );
}

interface LoadedChange {
  readonly b: Float32Array;
  readonly a: Float32Array;
  readonly rank: number;
  readonly scale: number;
}

/** @param first place of the chunk's first element in the matrix: chunks may begin and end inside of rows */
function changed(
  data: Float32Array,
  first: number,
  columns: number,
  changes: readonly LoadedChange[],
): Float32Array {
  const result = new Float32Array(data.length);
  const [sum, product] = [new Float64Array(columns), new Float64Array(columns)];
  for (let at = 0; at < data.length; ) {
    const row = Math.floor((first + at) / columns);
    const start = first + at - row * columns;
    const count = Math.min(columns - start, data.length - at);
    for (let j = 0; j < count; j++) sum[j] = data[at + j]!;
    for (const change of changes) {
      multiply(product, change, row, start, count, columns);
      for (let j = 0; j < count; j++) sum[j]! += change.scale * product[j]!;
    }
    for (let j = 0; j < count; j++, at++) result[at] = sum[j]!;
  }
  return result;
}

/**
 * Fills `product` with elements `start` to `start + count` of a row of B A, each added up in the order of the rank. Four
 * products at a time take half the time of one: the sum is loaded and stored once for them.
 */
function multiply(
  product: Float64Array,
  { a, b, rank }: LoadedChange,
  row: number,
  start: number,
  count: number,
  columns: number,
): void {
  product.fill(0, 0, count);
  const factors = b.subarray(row * rank, (row + 1) * rank);
  let k = 0;
  for (; k + 4 <= rank; k += 4) {
    const [b0, b1, b2, b3] = factors.subarray(k, k + 4) as unknown as [number, number, number, number];
    const i0 = k * columns + start;
    const [i1, i2, i3] = [i0 + columns, i0 + 2 * columns, i0 + 3 * columns];
    for (let j = 0; j < count; j++) {
      product[j] = product[j]! + b0 * a[i0 + j]! + b1 * a[i1 + j]! + b2 * a[i2 + j]! + b3 * a[i3 + j]!;
    }
  }
  for (; k < rank; k++) {
    const i = k * columns + start;
    for (let j = 0; j < count; j++) product[j]! += factors[k]! * a[i + j]!;
  }
}
