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

/** The first and the second values of a step at `w`, widened: of bf16 from its `words`, which are loaded once. */
// @ts-ignore: decorator
@inline
function firstOf(dtype: i32, words: v128, w: usize): v128 {
  return dtype == BF16 ? i32x4.shl(words, 16) : loadAs(w, 0, dtype);
}
// @ts-ignore: decorator
@inline
function secondOf(dtype: i32, words: v128, w: usize): v128 {
  return dtype == BF16 ? v128.and(words, i32x4.splat(0xffff0000)) : loadAs(w, 4, dtype);
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

/**
 * One row of x and four of W: their first steps at `w`, and each `gap` bytes further on. The first and the second values of
 * steps have sums of their own, so that eight FMAs are under way.
 */
// @ts-ignore: decorator
@inline
function oneRow(
  dtype: i32, s: usize, x: usize, w: usize, gap: usize, k: i32, y: usize, yGap: usize, scale: f32,
): void {
  const half = halfBytes(k);
  let p0 = w, p1 = w + gap, p2 = w + 2 * gap, p3 = w + 3 * gap;
  const zero = f32x4.splat(0);
  let c0 = zero, c1 = zero, c2 = zero, c3 = zero, d0 = zero, d1 = zero, d2 = zero, d3 = zero;
  let at = s;
  const end = s + half;
  if (dtype == BF16) {
    // Two steps in one: what is added to pointers is a fifth of all work otherwise.
    const mask = i32x4.splat(0xffff0000);
    for (let next = s + half; at + 32 <= end; at += 32) {
      let a = v128.load(at), b = v128.load(next);
      let w0 = v128.load(p0), w1 = v128.load(p1), w2 = v128.load(p2), w3 = v128.load(p3);
      c0 = fma(a, i32x4.shl(w0, 16), c0); d0 = fma(b, v128.and(w0, mask), d0);
      c1 = fma(a, i32x4.shl(w1, 16), c1); d1 = fma(b, v128.and(w1, mask), d1);
      c2 = fma(a, i32x4.shl(w2, 16), c2); d2 = fma(b, v128.and(w2, mask), d2);
      c3 = fma(a, i32x4.shl(w3, 16), c3); d3 = fma(b, v128.and(w3, mask), d3);
      a = v128.load(at, 16); b = v128.load(next, 16);
      w0 = v128.load(p0, 16); w1 = v128.load(p1, 16); w2 = v128.load(p2, 16); w3 = v128.load(p3, 16);
      c0 = fma(a, i32x4.shl(w0, 16), c0); d0 = fma(b, v128.and(w0, mask), d0);
      c1 = fma(a, i32x4.shl(w1, 16), c1); d1 = fma(b, v128.and(w1, mask), d1);
      c2 = fma(a, i32x4.shl(w2, 16), c2); d2 = fma(b, v128.and(w2, mask), d2);
      c3 = fma(a, i32x4.shl(w3, 16), c3); d3 = fma(b, v128.and(w3, mask), d3);
      next += 32;
      p0 += 32; p1 += 32; p2 += 32; p3 += 32;
    }
  }
  for (; at < end; at += 16) {
    const a = v128.load(at), b = v128.load(at + half);
    const w0 = v128.load(p0), w1 = v128.load(p1), w2 = v128.load(p2), w3 = v128.load(p3);
    c0 = fma(a, firstOf(dtype, w0, p0), c0); d0 = fma(b, secondOf(dtype, w0, p0), d0);
    c1 = fma(a, firstOf(dtype, w1, p1), c1); d1 = fma(b, secondOf(dtype, w1, p1), d1);
    c2 = fma(a, firstOf(dtype, w2, p2), c2); d2 = fma(b, secondOf(dtype, w2, p2), d2);
    c3 = fma(a, firstOf(dtype, w3, p3), c3); d3 = fma(b, secondOf(dtype, w3, p3), d3);
    p0 += STEP * bytesOf(dtype); p1 += STEP * bytesOf(dtype);
    p2 += STEP * bytesOf(dtype); p3 += STEP * bytesOf(dtype);
  }
  finish(dtype, y, f32x4.add(c0, d0), x, w, k, scale);
  finish(dtype, y + yGap, f32x4.add(c1, d1), x, w + gap, k, scale);
  finish(dtype, y + 2 * yGap, f32x4.add(c2, d2), x, w + 2 * gap, k, scale);
  finish(dtype, y + 3 * yGap, f32x4.add(c3, d3), x, w + 3 * gap, k, scale);
}

/** The same for two rows of x, `xRow` bytes apart, of y, `yRow` bytes apart, and of W. */
// @ts-ignore: decorator
@inline
function twoRows(
  dtype: i32, s: usize, x: usize, xRow: usize, w: usize, gap: usize, k: i32, y: usize, yGap: usize, yRow: usize,
  scale: f32,
): void {
  const half = halfBytes(k);
  let p0 = w, p1 = w + gap;
  const zero = f32x4.splat(0);
  let c0 = zero, c1 = zero, d0 = zero, d1 = zero, e0 = zero, e1 = zero, f0 = zero, f1 = zero;
  const end = s + half;
  for (let at = s; at < end; at += 16) {
    const w0 = v128.load(p0), w1 = v128.load(p1);
    const first0 = firstOf(dtype, w0, p0), second0 = secondOf(dtype, w0, p0);
    const first1 = firstOf(dtype, w1, p1), second1 = secondOf(dtype, w1, p1);
    const a = v128.load(at), b = v128.load(at + half);
    c0 = fma(a, first0, c0); d0 = fma(b, second0, d0);
    c1 = fma(a, first1, c1); d1 = fma(b, second1, d1);
    const g = v128.load(at + 2 * half), h = v128.load(at + 3 * half);
    e0 = fma(g, first0, e0); f0 = fma(h, second0, f0);
    e1 = fma(g, first1, e1); f1 = fma(h, second1, f1);
    p0 += STEP * bytesOf(dtype); p1 += STEP * bytesOf(dtype);
  }
  finish(dtype, y, f32x4.add(c0, d0), x, w, k, scale);
  finish(dtype, y + yGap, f32x4.add(c1, d1), x, w + gap, k, scale);
  finish(dtype, y + yRow, f32x4.add(e0, f0), x + xRow, w, k, scale);
  finish(dtype, y + yRow + yGap, f32x4.add(e1, f1), x + xRow, w + gap, k, scale);
}

/** One row of x and one of W. */
// @ts-ignore: decorator
@inline
function single(dtype: i32, s: usize, x: usize, w: usize, k: i32, y: usize, scale: f32): void {
  const half = halfBytes(k);
  let c = f32x4.splat(0), d = c;
  let p = w;
  for (let at = s; at < s + half; at += 16) {
    const words = v128.load(p);
    c = fma(v128.load(at), firstOf(dtype, words, p), c);
    d = fma(v128.load(at + half), secondOf(dtype, words, p), d);
    p += STEP * bytesOf(dtype);
  }
  finish(dtype, y, f32x4.add(c, d), x, w, k, scale);
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
      twoRows(dtype, a, b, xRow, from + 2 * gap, gap, k, c + 2 * yGap, yGap, yRow, scale);
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
