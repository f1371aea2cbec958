import { BF16, F16, F32, fma, loadAs, sumLanes } from './simd';
import { loadFirst } from './tail';

/*
 * `linear` for few rows, as in decoding: the weights are read once, in place, where packing them would cost more than the
 * product. Each element of y is a sum of its own along k, lane by lane.
 */

/** Rows of W that are multiplied at once: enough sums to hide the latency of an FMA, with x in a register for all. */
const W_ROWS: i32 = 4;

/** x [4 values from q on] of the row at `x`; zeros behind k. */
// @ts-ignore: decorator
@inline
function valuesOf(x: usize, q: i32, k: i32): v128 {
  const at = x + <usize>(q << 2);
  return q + 4 <= k ? v128.load(at) : loadFirst(at, k - q);
}

/** y[0 .. 3] += scale x W^T for four rows of W from element `w` of `base` on, for one row of x. */
// @ts-ignore: decorator
@inline
function fourOfOne(dtype: i32, x: usize, base: usize, w: usize, k: i32, y: usize, scale: f32): void {
  const step = <usize>k;
  let s0 = f32x4.splat(0), s1 = s0, s2 = s0, s3 = s0;
  for (let q = 0; q < k; q += 4) {
    const a = valuesOf(x, q, k);
    const at = w + <usize>q;
    s0 = fma(a, loadAs(base, at, dtype), s0);
    s1 = fma(a, loadAs(base, at + step, dtype), s1);
    s2 = fma(a, loadAs(base, at + 2 * step, dtype), s2);
    s3 = fma(a, loadAs(base, at + 3 * step, dtype), s3);
  }
  add(y, s0, scale);
  add(y + 4, s1, scale);
  add(y + 8, s2, scale);
  add(y + 12, s3, scale);
}

/** The same for two rows of x, `xRow` bytes apart, and of y, `yRow` bytes apart. */
// @ts-ignore: decorator
@inline
function fourOfTwo(
  dtype: i32, x: usize, xRow: usize, base: usize, w: usize, k: i32, y: usize, yRow: usize, scale: f32,
): void {
  const step = <usize>k;
  const zero = f32x4.splat(0);
  let s0 = zero, s1 = zero, s2 = zero, s3 = zero, t0 = zero, t1 = zero, t2 = zero, t3 = zero;
  for (let q = 0; q < k; q += 4) {
    const a = valuesOf(x, q, k);
    const b = valuesOf(x + xRow, q, k);
    const at = w + <usize>q;
    const w0 = loadAs(base, at, dtype), w1 = loadAs(base, at + step, dtype);
    s0 = fma(a, w0, s0); t0 = fma(b, w0, t0);
    s1 = fma(a, w1, s1); t1 = fma(b, w1, t1);
    const w2 = loadAs(base, at + 2 * step, dtype), w3 = loadAs(base, at + 3 * step, dtype);
    s2 = fma(a, w2, s2); t2 = fma(b, w2, t2);
    s3 = fma(a, w3, s3); t3 = fma(b, w3, t3);
  }
  add(y, s0, scale); add(y + 4, s1, scale); add(y + 8, s2, scale); add(y + 12, s3, scale);
  const z = y + yRow;
  add(z, t0, scale); add(z + 4, t1, scale); add(z + 8, t2, scale); add(z + 12, t3, scale);
}

// @ts-ignore: decorator
@inline
function one(dtype: i32, x: usize, base: usize, w: usize, k: i32, y: usize, scale: f32): void {
  let sum = f32x4.splat(0);
  for (let q = 0; q < k; q += 4) sum = fma(valuesOf(x, q, k), loadAs(base, w + <usize>q, dtype), sum);
  add(y, sum, scale);
}

/** y += scale times the sum of the lanes. */
// @ts-ignore: decorator
@inline
function add(y: usize, sum: v128, scale: f32): void {
  store<f32>(y, load<f32>(y) + scale * sumLanes(sum));
}

/** y [m, n] += scale x W^T for columns from .. to of y. */
// @ts-ignore: decorator
@inline
function termAs(
  dtype: i32, x: usize, m: i32, w: usize, k: i32, y: usize, n: i32, from: i32, to: i32, scale: f32,
): void {
  const xRow = <usize>(k << 2);
  const yRow = <usize>(n << 2);
  let j = from;
  for (; j + W_ROWS <= to; j += W_ROWS) {
    const at = <usize>j * <usize>k;
    const column = y + <usize>(j << 2);
    let i = 0;
    for (; i + 2 <= m; i += 2) {
      fourOfTwo(dtype, x + <usize>i * xRow, xRow, w, at, k, column + <usize>i * yRow, yRow, scale);
    }
    if (i < m) fourOfOne(dtype, x + <usize>i * xRow, w, at, k, column + <usize>i * yRow, scale);
  }
  for (; j < to; j++) {
    for (let i = 0; i < m; i++) {
      const element = y + <usize>i * yRow + <usize>(j << 2);
      one(dtype, x + <usize>i * xRow, w, <usize>j * <usize>k, k, element, scale);
    }
  }
}

function term(
  x: usize, m: i32, w: usize, k: i32, dtype: i32, y: usize, n: i32, from: i32, to: i32, scale: f32,
): void {
  if (dtype == F32) termAs(F32, x, m, w, k, y, n, from, to, scale);
  else if (dtype == BF16) termAs(BF16, x, m, w, k, y, n, from, to, scale);
  else termAs(F16, x, m, w, k, y, n, from, to, scale);
}

/** Columns from .. to of y [m, n] = base + bias, each of which may be absent (0); base may be y. */
function begin(y: usize, base: usize, bias: usize, m: i32, n: i32, from: i32, to: i32): void {
  for (let i = 0; i < m; i++) {
    for (let j = from; j < to; j++) {
      const at = <usize>((i * n + j) << 2);
      const start = base ? load<f32>(base + at) : 0;
      store<f32>(y + at, bias ? start + load<f32>(bias + <usize>(j << 2)) : start);
    }
  }
}

/**
 * y [m, n] = base + bias + scale1 x1 w1^T + scale2 x2 w2^T, x_i [m, k_i], w_i [n, k_i], bias [n]; base, bias and the
 * second term may be 0. One tile is columnsPerTile columns of all rows.
 */
export function linear_few(
  tile: i32, scratch: usize, base: usize, y: usize, m: i32, n: i32, columnsPerTile: i32,
  x1: usize, w1: usize, k1: i32, dtype1: i32, scale1: f32,
  x2: usize, w2: usize, k2: i32, dtype2: i32, scale2: f32, bias: usize,
): void {
  const from = tile * columnsPerTile;
  const to = min(from + columnsPerTile, n);
  begin(y, base, bias, m, n, from, to);
  term(x1, m, w1, k1, dtype1, y, n, from, to, scale1);
  if (x2) term(x2, m, w2, k2, dtype2, y, n, from, to, scale2);
}
