import { bytesOf } from './gemm';
import { BF16, F16, F32, fma, loadAs, sumLanes } from './simd';

/*
 * `linear` for few rows, as in decoding: the weights are read once, in place, where packing them would cost more than the
 * product. What counts is how fast memory gives them: four streams of neighbouring rows at once are twice as fast as one
 * (docs/log.md). Each element of y is a sum of its own along k, whatever tile or row it lies in.
 */

/** Values along k that are multiplied at once: a vector of bf16. Those behind a multiple of it are added one by one. */
const STEP: usize = 8;

// @ts-ignore: decorator
@inline
function wholeSteps(k: i32): i32 {
  return k & ~(<i32>STEP - 1);
}

/** Bytes of one of the two halves of a separated row. */
// @ts-ignore: decorator
@inline
function halfBytes(k: i32): usize {
  return <usize>(wholeSteps(k) << 1);
}

/**
 * Copies the rows of x [m, k], each in two halves: for weights in bf16, which are widened in place (their odd values by
 * clearing the low halves of words, their even ones by a shift), its even, then its odd values; else the first, then the
 * second four values of each step.
 */
function separate(to: usize, x: usize, m: i32, k: i32, dtype: i32): void {
  const half = halfBytes(k);
  for (let i = 0; i < m; i++) {
    for (let q = 0; q < wholeSteps(k); q += <i32>STEP) {
      const from = x + <usize>((i * k + q) << 2);
      const a = v128.load(from), b = v128.load(from, 16);
      const at = to + <usize>(q << 1);
      v128.store(at, dtype == BF16 ? v128.shuffle<i32>(a, b, 0, 2, 4, 6) : a);
      v128.store(at + half, dtype == BF16 ? v128.shuffle<i32>(a, b, 1, 3, 5, 7) : b);
    }
    to += 2 * half;
  }
}

/** sum + the products of one step: `a` and `b` from the halves of a row of x, and W at `w`, of bf16 as its `words`. */
// @ts-ignore: decorator
@inline
function step(dtype: i32, a: v128, b: v128, words: v128, w: usize, sum: v128): v128 {
  if (dtype == BF16) return fma(b, v128.and(words, i32x4.splat(0xffff0000)), fma(a, i32x4.shl(words, 16), sum));
  return fma(b, loadAs(w, 4, dtype), fma(a, loadAs(w, 0, dtype), sum));
}

/** y += scale (the lanes' sum + the products of the last values of x and W, fewer than a step). */
// @ts-ignore: decorator
@inline
function finish(dtype: i32, y: usize, sum: v128, x: usize, w: usize, k: i32, scale: f32): void {
  let total = sumLanes(sum);
  for (let q = wholeSteps(k); q < k; q++) {
    // Lanes behind the first hold what lies behind.
    total += load<f32>(x + (<usize>q << 2)) * f32x4.extract_lane(loadAs(w, q, dtype), 0);
  }
  store<f32>(y, load<f32>(y) + scale * total);
}

/** One row of x and four of W: their first steps at `w`, and each `gap` bytes further on. */
// @ts-ignore: decorator
@inline
function oneRow(
  dtype: i32, s: usize, x: usize, w: usize, gap: usize, k: i32, y: usize, yGap: usize, scale: f32,
): void {
  const half = halfBytes(k);
  let p0 = w, p1 = w + gap, p2 = w + 2 * gap, p3 = w + 3 * gap;
  const zero = f32x4.splat(0);
  let c0 = zero, c1 = zero, c2 = zero, c3 = zero;
  const end = s + half;
  for (let at = s; at < end; at += 16) {
    const a = v128.load(at), b = v128.load(at + half);
    c0 = step(dtype, a, b, v128.load(p0), p0, c0);
    c1 = step(dtype, a, b, v128.load(p1), p1, c1);
    c2 = step(dtype, a, b, v128.load(p2), p2, c2);
    c3 = step(dtype, a, b, v128.load(p3), p3, c3);
    p0 += STEP * bytesOf(dtype); p1 += STEP * bytesOf(dtype);
    p2 += STEP * bytesOf(dtype); p3 += STEP * bytesOf(dtype);
  }
  finish(dtype, y, c0, x, w, k, scale);
  finish(dtype, y + yGap, c1, x, w + gap, k, scale);
  finish(dtype, y + 2 * yGap, c2, x, w + 2 * gap, k, scale);
  finish(dtype, y + 3 * yGap, c3, x, w + 3 * gap, k, scale);
}

/** The same for two rows of x, `xRow` bytes apart, and of y, `yRow` bytes apart. */
// @ts-ignore: decorator
@inline
function twoRows(
  dtype: i32, s: usize, x: usize, xRow: usize, w: usize, gap: usize, k: i32, y: usize, yGap: usize, yRow: usize,
  scale: f32,
): void {
  const half = halfBytes(k);
  let p0 = w, p1 = w + gap, p2 = w + 2 * gap, p3 = w + 3 * gap;
  const zero = f32x4.splat(0);
  let c0 = zero, c1 = zero, c2 = zero, c3 = zero, d0 = zero, d1 = zero, d2 = zero, d3 = zero;
  const end = s + half;
  for (let at = s; at < end; at += 16) {
    const a = v128.load(at), b = v128.load(at + half);
    const e = v128.load(at + 2 * half), f = v128.load(at + 3 * half);
    const w0 = v128.load(p0), w1 = v128.load(p1), w2 = v128.load(p2), w3 = v128.load(p3);
    c0 = step(dtype, a, b, w0, p0, c0); d0 = step(dtype, e, f, w0, p0, d0);
    c1 = step(dtype, a, b, w1, p1, c1); d1 = step(dtype, e, f, w1, p1, d1);
    c2 = step(dtype, a, b, w2, p2, c2); d2 = step(dtype, e, f, w2, p2, d2);
    c3 = step(dtype, a, b, w3, p3, c3); d3 = step(dtype, e, f, w3, p3, d3);
    p0 += STEP * bytesOf(dtype); p1 += STEP * bytesOf(dtype);
    p2 += STEP * bytesOf(dtype); p3 += STEP * bytesOf(dtype);
  }
  const z = y + yRow, t = x + xRow;
  finish(dtype, y, c0, x, w, k, scale); finish(dtype, z, d0, t, w, k, scale);
  finish(dtype, y + yGap, c1, x, w + gap, k, scale); finish(dtype, z + yGap, d1, t, w + gap, k, scale);
  finish(dtype, y + 2 * yGap, c2, x, w + 2 * gap, k, scale);
  finish(dtype, z + 2 * yGap, d2, t, w + 2 * gap, k, scale);
  finish(dtype, y + 3 * yGap, c3, x, w + 3 * gap, k, scale);
  finish(dtype, z + 3 * yGap, d3, t, w + 3 * gap, k, scale);
}

/** One row of x and one of W. */
// @ts-ignore: decorator
@inline
function single(dtype: i32, s: usize, x: usize, w: usize, k: i32, y: usize, scale: f32): void {
  const half = halfBytes(k);
  let sum = f32x4.splat(0);
  let p = w;
  for (let at = s; at < s + half; at += 16) {
    sum = step(dtype, v128.load(at), v128.load(at + half), v128.load(p), p, sum);
    p += STEP * bytesOf(dtype);
  }
  finish(dtype, y, sum, x, w, k, scale);
}

/** y [m, n] += scale x W^T for `columns` columns of y from its corner on, whose rows of W begin at `w`. */
// @ts-ignore: decorator
@inline
function termAs(
  dtype: i32, s: usize, x: usize, m: i32, w: usize, k: i32, y: usize, n: i32, columns: i32, scale: f32,
): void {
  const xRow = <usize>(k << 2), yRow = <usize>(n << 2), wRow = <usize>k * bytesOf(dtype);
  const sRow = halfBytes(k) << 1;
  const run = columns >> 2;
  const gap = <usize>run * wRow, yGap = <usize>(run << 2);
  for (let j = 0; j < run; j++) {
    const column = y + <usize>(j << 2);
    const from = w + <usize>j * wRow;
    let i = 0;
    for (; i + 2 <= m; i += 2) {
      const row = <usize>i;
      const a = s + row * sRow, b = x + row * xRow, c = column + row * yRow;
      twoRows(dtype, a, b, xRow, from, gap, k, c, yGap, yRow, scale);
    }
    if (i < m) {
      const row = <usize>i;
      oneRow(dtype, s + row * sRow, x + row * xRow, from, gap, k, column + row * yRow, yGap, scale);
    }
  }
  for (let j = 4 * run; j < columns; j++) {
    for (let i = 0; i < m; i++) {
      const row = <usize>i;
      const element = y + row * yRow + <usize>(j << 2);
      single(dtype, s + row * sRow, x + row * xRow, w + <usize>j * wRow, k, element, scale);
    }
  }
}

/*
 * A function of its own for each type: the engine keeps the sums of a loop in registers only where the function is not too
 * large.
 */
function termF32(s: usize, x: usize, m: i32, w: usize, k: i32, y: usize, n: i32, columns: i32, scale: f32): void {
  termAs(F32, s, x, m, w, k, y, n, columns, scale);
}
function termBf16(s: usize, x: usize, m: i32, w: usize, k: i32, y: usize, n: i32, columns: i32, scale: f32): void {
  termAs(BF16, s, x, m, w, k, y, n, columns, scale);
}
function termF16(s: usize, x: usize, m: i32, w: usize, k: i32, y: usize, n: i32, columns: i32, scale: f32): void {
  termAs(F16, s, x, m, w, k, y, n, columns, scale);
}

function term(
  scratch: usize, x: usize, m: i32, w: usize, k: i32, dtype: i32, y: usize, n: i32, columns: i32, scale: f32,
): void {
  separate(scratch, x, m, k, dtype);
  if (dtype == F32) termF32(scratch, x, m, w, k, y, n, columns, scale);
  else if (dtype == BF16) termBf16(scratch, x, m, w, k, y, n, columns, scale);
  else termF16(scratch, x, m, w, k, y, n, columns, scale);
}

/** `columns` columns of y [m, n] = base + bias, each of which may be absent (0); base may be y. All point at the first. */
function begin(y: usize, base: usize, bias: usize, m: i32, n: i32, columns: i32): void {
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < columns; j++) {
      const at = <usize>((i * n + j) << 2);
      const start = base ? load<f32>(base + at) : 0;
      store<f32>(y + at, bias ? start + load<f32>(bias + <usize>(j << 2)) : start);
    }
  }
}

/**
 * y [m, n] = base + bias + scale1 x1 w1^T + scale2 x2 w2^T, x_i [m, k_i], w_i [n, k_i], bias [n]; base, bias and the
 * second term may be 0. One tile is columnsPerTile columns of all rows. Scratch: x_i.
 */
export function linear_few(
  tile: i32, scratch: usize, base: usize, y: usize, m: i32, n: i32, columnsPerTile: i32,
  x1: usize, w1: usize, k1: i32, dtype1: i32, scale1: f32,
  x2: usize, w2: usize, k2: i32, dtype2: i32, scale2: f32, bias: usize,
): void {
  const first = <usize>(tile * columnsPerTile);
  const columns = min(columnsPerTile, n - <i32>first);
  const at = first << 2;
  const corner = y + at;
  begin(corner, base ? base + at : 0, bias ? bias + at : 0, m, n, columns);
  const rows1 = w1 + first * <usize>k1 * bytesOf(dtype1);
  term(scratch, x1, m, rows1, k1, dtype1, corner, n, columns, scale1);
  if (x2 == 0) return;
  const rows2 = w2 + first * <usize>k2 * bytesOf(dtype2);
  term(scratch, x2, m, rows2, k2, dtype2, corner, n, columns, scale2);
}
