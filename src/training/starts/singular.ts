import { Bidiagonalised, bidiagonalisedBytes } from '../../wasm/svd.js';
import { bidiagonalTriplets, type End, type Triplets } from './bidiagonal.js';

/** A matrix [out, in], row by row. */
export interface Matrix {
  readonly out: number;
  readonly inputs: number;
  readonly data: Float32Array;
}

/**
 * The first, or last, `count` singular triplets of W: W v = s u, W^T u = s v, in f64 to about its rounding times the
 * largest value, as LAPACK's. Of each v the element that is largest in size, the first of several, is positive.
 */
export function singularTriplets(w: Matrix, which: End, count: number): Triplets {
  const isWide = w.inputs > w.out;
  const [rows, cols] = isWide ? [w.inputs, w.out] : [w.out, w.inputs];
  const matrix = new Bidiagonalised(rows, cols, count, isWide ? rowsOf(w) : columnsOf(w));
  const { values, left, right } = bidiagonalTriplets(matrix.diagonal, matrix.above, which, count);
  const [tall, short] = [matrix.left(left), matrix.right(right)];
  const [u, v] = isWide ? [short, tall] : [tall, short];
  v.forEach((vector, i) => {
    if (isPositive(vector)) return;
    negate(vector);
    negate(u[i]!);
  });
  return { values, left: u, right: v };
}

/** Bytes that `singularTriplets` takes, beside W. */
export const decompositionBytes = (out: number, inputs: number, count: number): number =>
  bidiagonalisedBytes(Math.max(out, inputs), Math.min(out, inputs), count);

const rowsOf =
  ({ data, inputs }: Matrix) =>
  (column: Float64Array, j: number): void =>
    column.set(data.subarray(j * inputs, (j + 1) * inputs));

const columnsOf =
  ({ data, inputs }: Matrix) =>
  (column: Float64Array, j: number): void => {
    for (let i = 0, at = j; i < column.length; i++, at += inputs) column[i] = data[at]!;
  };

function isPositive(vector: Float64Array): boolean {
  let most = 0;
  for (let i = 0; i < vector.length; i++) if (Math.abs(vector[i]!) > Math.abs(most)) most = vector[i]!;
  return most >= 0;
}

function negate(vector: Float64Array): void {
  for (let i = 0; i < vector.length; i++) vector[i] = -vector[i]!;
}
