import type { KeptTriplets } from './kept.js';

/** A [rank, in] and B [out, rank], row by row. */
export interface Factors {
  readonly a: Float32Array;
  readonly b: Float32Array;
}

/**
 * With W = U S V^T, A = sqrt(S_r / s) V_r^T and B = U_r sqrt(S_r / s), so that s B A is what the singular triplets r are
 * of W (Meng et al. 2024): the first `rank` of those given, or the last. Computed in f64 and rounded once.
 * @param scale s
 */
export function factorsOf(
  { values, left, right }: KeptTriplets,
  rank: number,
  { end, scale }: { readonly end: 'first' | 'last'; readonly scale: number },
): Factors {
  const count = values.length;
  const skipped = end === 'first' ? 0 : count - rank;
  const [out, inputs] = [left.length / count, right.length / count];
  const a = new Float32Array(rank * inputs);
  const b = new Float32Array(out * rank);
  for (let k = 0; k < rank; k++) {
    const root = Math.sqrt(values[skipped + k]! / scale);
    const [u, v] = [(skipped + k) * out, (skipped + k) * inputs];
    for (let j = 0; j < inputs; j++) a[k * inputs + j] = root * right[v + j]!;
    for (let i = 0; i < out; i++) b[i * rank + k] = root * left[u + i]!;
  }
  return { a, b };
}
