/*
 * Sums over the rows of matrices of f64 that lie column by column, `ld` bytes apart. Ranges of rows are `from` to `to` in
 * bytes, multiples of ROWS: whoever calls pads columns with zeros to whole steps.
 */

/** Bytes of the rows that a step takes: eight numbers. */
export const ROWS: usize = 64;
/** Bytes of a column that are read at once, so that those of all columns of X stay in the L2 cache meanwhile. */
const CHUNK: usize = 8192;
/** The same where columns are changed: those of X stay close to the L1 cache. */
const CHANGED: usize = 2048;

/** a * b + c in one rounding where the CPU has FMA. */
// @ts-ignore: decorator
@inline
function fma(a: v128, b: v128, c: v128): v128 {
  return v128.relaxed_madd<f64>(a, b, c);
}

/** c - a * b, likewise. */
// @ts-ignore: decorator
@inline
function fnma(a: v128, b: v128, c: v128): v128 {
  return v128.relaxed_nmadd<f64>(a, b, c);
}

// @ts-ignore: decorator
@inline
function addLanes(x: v128): f64 {
  return f64x2.extract_lane(x, 0) + f64x2.extract_lane(x, 1);
}

/** out[i] += x_i . y for four columns of x, and with PAIR out2[i] += x_i . y2. */
// @ts-ignore: decorator
@inline
function fourDots(
  PAIR: bool, x: usize, ldx: usize, y: usize, y2: usize, from: usize, to: usize, out: usize, out2: usize,
): void {
  let a0 = f64x2.splat(0), a1 = a0, a2 = a0, a3 = a0;
  let b0 = a0, b1 = a0, b2 = a0, b3 = a0;
  const x1 = x + ldx, x2 = x1 + ldx, x3 = x2 + ldx;
  for (let k = from; k < to; k += 16) {
    const s = v128.load(y + k);
    const u0 = v128.load(x + k), u1 = v128.load(x1 + k), u2 = v128.load(x2 + k), u3 = v128.load(x3 + k);
    a0 = fma(u0, s, a0); a1 = fma(u1, s, a1); a2 = fma(u2, s, a2); a3 = fma(u3, s, a3);
    if (PAIR) {
      const t = v128.load(y2 + k);
      b0 = fma(u0, t, b0); b1 = fma(u1, t, b1); b2 = fma(u2, t, b2); b3 = fma(u3, t, b3);
    }
  }
  addTo(out, a0, a1, a2, a3);
  if (PAIR) addTo(out2, b0, b1, b2, b3);
}

// @ts-ignore: decorator
@inline
function addTo(out: usize, a0: v128, a1: v128, a2: v128, a3: v128): void {
  store<f64>(out, load<f64>(out) + addLanes(a0));
  store<f64>(out + 8, load<f64>(out + 8) + addLanes(a1));
  store<f64>(out + 16, load<f64>(out + 16) + addLanes(a2));
  store<f64>(out + 24, load<f64>(out + 24) + addLanes(a3));
}

/** out [n, m] = Y^T X over a range of rows, X of m columns (a multiple of 4), Y of n. */
export function products(
  x: usize, ldx: usize, m: i32, y: usize, ldy: usize, n: i32, from: usize, to: usize, out: usize,
): void {
  const width = <usize>m << 3;
  memory.fill(out, 0, <usize>n * width);
  for (let k = from; k < to; k += CHUNK) {
    const end = min(k + CHUNK, to);
    let j = 0;
    for (; j + 1 < n; j += 2) {
      const yj = y + <usize>j * ldy, row = out + <usize>j * width;
      for (let i = 0; i < m; i += 4) {
        const at = row + (<usize>i << 3);
        fourDots(true, x + <usize>i * ldx, ldx, yj, yj + ldy, k, end, at, at + width);
      }
    }
    if (j == n) continue;
    const yj = y + <usize>j * ldy, row = out + <usize>j * width;
    for (let i = 0; i < m; i += 4) fourDots(false, x + <usize>i * ldx, ldx, yj, yj, k, end, row + (<usize>i << 3), 0);
  }
}

/** Eight rows of one or two columns: c -= X z, c2 -= X z2, X of m columns. */
// @ts-ignore: decorator
@inline
function subtractRows(
  PAIR: bool, c: usize, c2: usize, x: usize, ldx: usize, m: i32, z: usize, z2: usize,
): void {
  let a0 = v128.load(c), a1 = v128.load(c, 16), a2 = v128.load(c, 32), a3 = v128.load(c, 48);
  let b0 = f64x2.splat(0), b1 = b0, b2 = b0, b3 = b0;
  if (PAIR) { b0 = v128.load(c2); b1 = v128.load(c2, 16); b2 = v128.load(c2, 32); b3 = v128.load(c2, 48); }
  for (let i = 0; i < m; i++) {
    const s = v128.load64_splat(z);
    const u0 = v128.load(x), u1 = v128.load(x, 16), u2 = v128.load(x, 32), u3 = v128.load(x, 48);
    a0 = fnma(u0, s, a0); a1 = fnma(u1, s, a1); a2 = fnma(u2, s, a2); a3 = fnma(u3, s, a3);
    if (PAIR) {
      const t = v128.load64_splat(z2);
      b0 = fnma(u0, t, b0); b1 = fnma(u1, t, b1); b2 = fnma(u2, t, b2); b3 = fnma(u3, t, b3);
      z2 += 8;
    }
    z += 8;
    x += ldx;
  }
  v128.store(c, a0); v128.store(c, a1, 16); v128.store(c, a2, 32); v128.store(c, a3, 48);
  if (PAIR) { v128.store(c2, b0); v128.store(c2, b1, 16); v128.store(c2, b2, 32); v128.store(c2, b3, 48); }
}

/** C -= X Z^T over a range of rows: C of n columns, X of m, z [n, m]. */
export function subtract(
  c: usize, ldc: usize, n: i32, x: usize, ldx: usize, m: i32, z: usize, from: usize, to: usize,
): void {
  const width = <usize>m << 3;
  for (let k = from; k < to; k += CHANGED) {
    const end = min(k + CHANGED, to);
    let j = 0;
    for (; j + 1 < n; j += 2) {
      const c1 = c + <usize>j * ldc, z1 = z + <usize>j * width;
      for (let r = k; r < end; r += ROWS) {
        subtractRows(true, c1 + r, c1 + ldc + r, x + r, ldx, m, z1, z1 + width);
      }
    }
    if (j == n) continue;
    const c1 = c + <usize>j * ldc, z1 = z + <usize>j * width;
    for (let r = k; r < end; r += ROWS) subtractRows(false, c1 + r, c1, x + r, ldx, m, z1, z1);
  }
}

/** acc += sum_j g_j c_j of four columns, over a range of rows. */
export function addFour(acc: usize, c: usize, ldc: usize, g: usize, from: usize, to: usize): void {
  const s0 = v128.load64_splat(g), s1 = v128.load64_splat(g, 8);
  const s2 = v128.load64_splat(g, 16), s3 = v128.load64_splat(g, 24);
  const c1 = c + ldc, c2 = c1 + ldc, c3 = c2 + ldc;
  for (let k = from; k < to; k += 16) {
    const low = fma(v128.load(c + k), s0, fma(v128.load(c1 + k), s1, v128.load(acc + k)));
    v128.store(acc + k, fma(v128.load(c2 + k), s2, fma(v128.load(c3 + k), s3, low)));
  }
}

/** acc += g c, over a range of rows. */
export function addOne(acc: usize, c: usize, g: f64, from: usize, to: usize): void {
  const s = f64x2.splat(g);
  for (let k = from; k < to; k += 16) v128.store(acc + k, fma(v128.load(c + k), s, v128.load(acc + k)));
}

/** out[j] = c_j . v of four columns, over a range of rows. */
export function dotsOfFour(c: usize, ldc: usize, v: usize, from: usize, to: usize, out: usize): void {
  memory.fill(out, 0, 32);
  fourDots(false, c, ldc, v, v, from, to, out, 0);
}

export function dot(x: usize, y: usize, from: usize, to: usize): f64 {
  let low = f64x2.splat(0), high = f64x2.splat(0);
  for (let k = from; k < to; k += 32) {
    low = fma(v128.load(x + k), v128.load(y + k), low);
    high = fma(v128.load(x + k, 16), v128.load(y + k, 16), high);
  }
  return addLanes(f64x2.add(low, high));
}
