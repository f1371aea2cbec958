/** The largest eigenvalue of a symmetric matrix, and the last element of its vector, which has length 1. */
export interface Largest {
  readonly value: number;
  readonly last: number;
}

/** Sweeps converge quadratically: small matrices take about eight. */
const MOST_SWEEPS = 40;

/**
 * Of the tridiagonal matrix [k, k] with `diagonal` and, beside it, the first k - 1 of `beside`: by Jacobi's rotations
 * (Golub and Van Loan 2013, 8.5), which make a small matrix diagonal to f64's rounding whatever it holds.
 */
export function largestOfTridiagonal(diagonal: readonly number[], beside: readonly number[]): Largest {
  const k = diagonal.length;
  const a = diagonal.map((value, i) => {
    const row = new Float64Array(k);
    row[i] = value;
    if (i > 0) row[i - 1] = beside[i - 1]!;
    if (i < k - 1) row[i + 1] = beside[i]!;
    return row;
  });
  // The last elements of what become the eigenvectors.
  const last = new Float64Array(k);
  last[k - 1] = 1;
  for (let sweep = 0; sweep < MOST_SWEEPS && !isDiagonal(a); sweep++) {
    for (let p = 0; p < k - 1; p++) for (let q = p + 1; q < k; q++) rotate(a, last, p, q);
  }
  const largest = a.reduce((best, row, i) => (row[i]! > a[best]![best]! ? i : best), 0);
  return { value: a[largest]![largest]!, last: last[largest]! };
}

function isDiagonal(a: readonly Float64Array[]): boolean {
  const size = a.reduce((most, row, i) => Math.max(most, Math.abs(row[i]!)), 0);
  return a.every((row, i) => row.every((value, j) => i === j || Math.abs(value) <= 2 ** -52 * size));
}

/** Makes a_pq and a_qp 0 by a rotation of rows and columns p and q. */
function rotate(a: readonly Float64Array[], last: Float64Array, p: number, q: number): void {
  const [rowP, rowQ] = [a[p]!, a[q]!];
  if (rowP[q] === 0) return;
  const slope = (rowQ[q]! - rowP[p]!) / (2 * rowP[q]!);
  const tangent = (slope < 0 ? -1 : 1) / (Math.abs(slope) + Math.hypot(1, slope));
  const cosine = 1 / Math.hypot(1, tangent);
  const sine = tangent * cosine;
  const turn = (x: Float64Array, y: Float64Array, i: number, j: number) => {
    const [one, other] = [x[i]!, y[j]!];
    x[i] = cosine * one - sine * other;
    y[j] = sine * one + cosine * other;
  };
  for (let i = 0; i < a.length; i++) turn(rowP, rowQ, i, i);
  for (const row of a) turn(row, row, p, q);
  turn(last, last, p, q);
}
