import { randomStream } from '../../data/random.js';
import { largestOfTridiagonal } from './tridiagonal.js';

/** H v for a symmetric matrix H [n, n] that only its products are known of. */
export type Product = (v: Float32Array) => Promise<Float32Array>;

export interface LanczosOptions {
  /** The most products. */
  readonly iterations: number;
  /** It ends when the residual is at most this share of the value. */
  readonly tolerance: number;
  /** Of the start vector. */
  readonly seed: number;
}

export interface Eigenvalue {
  /** The largest eigenvalue of H on the space that was looked through: never above H's own but for rounding. */
  readonly value: number;
  /** ||H y - value y|| of its vector y, of length 1: an eigenvalue of H lies at most so far from the value. */
  readonly residual: number;
  /** Products that it took. */
  readonly iterations: number;
}

/**
 * The largest eigenvalue, by Lanczos' method (1950) with full reorthogonalisation, twice over (Parlett 1998, 13): the
 * basis Q is held orthogonal to f32's rounding, so no eigenvalue is found twice. T = Q^T H Q is tridiagonal; its largest
 * eigenvalue is the value, and its last off-diagonal times the last element of the vector the residual. The basis takes
 * 4 n bytes for each product. A function of H and the seed.
 */
export async function largestEigenvalue(
  n: number,
  product: Product,
  { iterations, tolerance, seed }: LanczosOptions,
): Promise<Eigenvalue> {
  const basis: Float32Array[] = [startVector(n, seed)];
  const diagonal: number[] = [];
  const beside: number[] = [];
  for (;;) {
    const q = basis.at(-1)!;
    const w = Float64Array.from(await product(q));
    diagonal.push(dot(w, q));
    for (let pass = 0; pass < 2; pass++) for (const other of basis) subtract(w, dot(w, other), other);
    const rest = Math.sqrt(dot(w, w));
    const { value, last } = largestOfTridiagonal(diagonal, beside);
    const residual = rest * Math.abs(last);
    const count = diagonal.length;
    if (count >= Math.min(n, iterations) || residual <= tolerance * Math.abs(value)) {
      return { value, residual, iterations: count };
    }
    beside.push(rest);
    basis.push(Float32Array.from(w, (element) => element / rest));
  }
}

/** Uniform signs: no eigenvector is favoured. */
function startVector(n: number, seed: number): Float32Array {
  const random = randomStream(seed, 0);
  const size = 1 / Math.sqrt(n);
  return Float32Array.from({ length: n }, (_, i) => (random(i) & 1 ? size : -size));
}

type Vector = Float32Array | Float64Array;

function dot(a: Vector, b: Vector): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

/** w -= factor v */
function subtract(w: Float64Array, factor: number, v: Vector): void {
  for (let i = 0; i < w.length; i++) w[i]! -= factor * v[i]!;
}
