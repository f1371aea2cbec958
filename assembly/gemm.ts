import { BF16, F32, fma, loadAs } from './simd';

/*
 * The one matrix product under linear, attention and the joint loss head: C [m, n] (+)= A [m, k] B [k, n], f32.
 * B comes as panels of 8 columns, [n / 8][k][8], zero-filled on the right; A is read in place, 6 rows at a time. Every
 * element of C is one chain of FMAs in the order of k, whatever micro-kernel computes it, and a product that is cut
 * along k continues the same chain: so bits depend on neither the tile nor the edge an element lies in.
 */

/** Columns of a panel. */
export const PANEL: i32 = 8;
/** Rows of k that are packed and multiplied at once: with 128 columns, a block of B takes 256 KiB of the L2 cache. */
export const K_BLOCK: i32 = 512;
/** Columns of C that a tile packs B for. */
export const N_BLOCK: i32 = 128;
/** Bytes of a block of B, with room for the edge tile behind it. */
export const BLOCK_BYTES: usize = <usize>(K_BLOCK * N_BLOCK * 4) + 256;

/**
 * C [MR, 8] (+)= A B for MR <= 6 rows. `aRow` is the distance in bytes of two rows of A, `aK` that of two values
 * along k; `bK` that of two rows of a panel. All arguments but pointers are constants or loop-invariant.
 */
// @ts-ignore: decorator
@inline
function micro(
  MR: i32, a: usize, aRow: usize, aK: usize, b: usize, bK: usize, k: i32, c: usize, ldc: usize, accumulate: bool,
): void {
  const zero = f32x4.splat(0);
  let c00 = zero, c01 = zero, c10 = zero, c11 = zero, c20 = zero, c21 = zero;
  let c30 = zero, c31 = zero, c40 = zero, c41 = zero, c50 = zero, c51 = zero;
  const c1 = c + ldc, c2 = c1 + ldc, c3 = c2 + ldc, c4 = c3 + ldc, c5 = c4 + ldc;
  if (accumulate) {
    c00 = v128.load(c); c01 = v128.load(c, 16);
    if (MR > 1) { c10 = v128.load(c1); c11 = v128.load(c1, 16); }
    if (MR > 2) { c20 = v128.load(c2); c21 = v128.load(c2, 16); }
    if (MR > 3) { c30 = v128.load(c3); c31 = v128.load(c3, 16); }
    if (MR > 4) { c40 = v128.load(c4); c41 = v128.load(c4, 16); }
    if (MR > 5) { c50 = v128.load(c5); c51 = v128.load(c5, 16); }
  }
  let a0 = a, a1 = a + aRow, a2 = a1 + aRow, a3 = a2 + aRow, a4 = a3 + aRow, a5 = a4 + aRow;
  const end = b + <usize>k * bK;
  while (b < end) {
    const b0 = v128.load(b), b1 = v128.load(b, 16);
    const x0 = v128.load32_splat(a0);
    c00 = fma(x0, b0, c00); c01 = fma(x0, b1, c01);
    if (MR > 1) { const x1 = v128.load32_splat(a1); c10 = fma(x1, b0, c10); c11 = fma(x1, b1, c11); }
    if (MR > 2) { const x2 = v128.load32_splat(a2); c20 = fma(x2, b0, c20); c21 = fma(x2, b1, c21); }
    if (MR > 3) { const x3 = v128.load32_splat(a3); c30 = fma(x3, b0, c30); c31 = fma(x3, b1, c31); }
    if (MR > 4) { const x4 = v128.load32_splat(a4); c40 = fma(x4, b0, c40); c41 = fma(x4, b1, c41); }
    if (MR > 5) { const x5 = v128.load32_splat(a5); c50 = fma(x5, b0, c50); c51 = fma(x5, b1, c51); }
    b += bK;
    a0 += aK;
    if (MR > 1) a1 += aK;
    if (MR > 2) a2 += aK;
    if (MR > 3) a3 += aK;
    if (MR > 4) a4 += aK;
    if (MR > 5) a5 += aK;
  }
  v128.store(c, c00); v128.store(c, c01, 16);
  if (MR > 1) { v128.store(c1, c10); v128.store(c1, c11, 16); }
  if (MR > 2) { v128.store(c2, c20); v128.store(c2, c21, 16); }
  if (MR > 3) { v128.store(c3, c30); v128.store(c3, c31, 16); }
  if (MR > 4) { v128.store(c4, c40); v128.store(c4, c41, 16); }
  if (MR > 5) { v128.store(c5, c50); v128.store(c5, c51, 16); }
}

/** A in rows: values along k are neighbours. Rows of B are `ldb` bytes apart: 32 in a packed panel. */
function rows6(a: usize, lda: usize, b: usize, ldb: usize, k: i32, c: usize, ldc: usize, accumulate: bool): void {
  micro(6, a, lda, 4, b, ldb, k, c, ldc, accumulate);
}
function rows4(a: usize, lda: usize, b: usize, ldb: usize, k: i32, c: usize, ldc: usize, accumulate: bool): void {
  micro(4, a, lda, 4, b, ldb, k, c, ldc, accumulate);
}
function rows2(a: usize, lda: usize, b: usize, ldb: usize, k: i32, c: usize, ldc: usize, accumulate: bool): void {
  micro(2, a, lda, 4, b, ldb, k, c, ldc, accumulate);
}
function rows1(a: usize, lda: usize, b: usize, ldb: usize, k: i32, c: usize, ldc: usize, accumulate: bool): void {
  micro(1, a, lda, 4, b, ldb, k, c, ldc, accumulate);
}

/** A in columns (A^T is stored): its rows are neighbours. B in place, its rows `ldb` bytes apart. */
function columns6(a: usize, lda: usize, b: usize, ldb: usize, k: i32, c: usize, ldc: usize, accumulate: bool): void {
  micro(6, a, 4, lda, b, ldb, k, c, ldc, accumulate);
}
function columns4(a: usize, lda: usize, b: usize, ldb: usize, k: i32, c: usize, ldc: usize, accumulate: bool): void {
  micro(4, a, 4, lda, b, ldb, k, c, ldc, accumulate);
}
function columns2(a: usize, lda: usize, b: usize, ldb: usize, k: i32, c: usize, ldc: usize, accumulate: bool): void {
  micro(2, a, 4, lda, b, ldb, k, c, ldc, accumulate);
}
function columns1(a: usize, lda: usize, b: usize, ldb: usize, k: i32, c: usize, ldc: usize, accumulate: bool): void {
  micro(1, a, 4, lda, b, ldb, k, c, ldc, accumulate);
}

/** m rows of one panel. */
function rowsPanel(
  a: usize, lda: usize, m: i32, b: usize, ldb: usize, k: i32, c: usize, ldc: usize, accumulate: bool,
): void {
  let i = 0;
  for (; i + 6 <= m; i += 6) rows6(a + <usize>i * lda, lda, b, ldb, k, c + <usize>i * ldc, ldc, accumulate);
  if (i + 4 <= m) { rows4(a + <usize>i * lda, lda, b, ldb, k, c + <usize>i * ldc, ldc, accumulate); i += 4; }
  if (i + 2 <= m) { rows2(a + <usize>i * lda, lda, b, ldb, k, c + <usize>i * ldc, ldc, accumulate); i += 2; }
  if (i < m) rows1(a + <usize>i * lda, lda, b, ldb, k, c + <usize>i * ldc, ldc, accumulate);
}

/** The same for A in columns, of which the first of 6 rows lies `strip` bytes from that of the 6 rows before. */
function columnsPanel(
  a: usize, lda: usize, strip: usize, m: i32, b: usize, ldb: usize, k: i32, c: usize, ldc: usize, accumulate: bool,
): void {
  let i = 0;
  for (; i + 6 <= m; i += 6) {
    columns6(a, lda, b, ldb, k, c + <usize>i * ldc, ldc, accumulate);
    a += strip;
  }
  if (i + 4 <= m) { columns4(a, lda, b, ldb, k, c + <usize>i * ldc, ldc, accumulate); a += 16; i += 4; }
  if (i + 2 <= m) { columns2(a, lda, b, ldb, k, c + <usize>i * ldc, ldc, accumulate); a += 8; i += 2; }
  if (i < m) columns1(a, lda, b, ldb, k, c + <usize>i * ldc, ldc, accumulate);
}

/** Copies `n` <= 8 numbers of each of `m` rows between C and a tile with rows of 8. */
function copyEdge(to: usize, toRow: usize, from: usize, fromRow: usize, m: i32, n: i32): void {
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < n; j++) store<f32>(to + <usize>(j << 2), load<f32>(from + <usize>(j << 2)));
    to += toRow;
    from += fromRow;
  }
}

/** The last panel of C, narrower than 8 columns: through a tile of 6 rows at `edge`, so that nothing beyond n is touched. */
function rowsEdge(
  a: usize, lda: usize, m: i32, b: usize, k: i32, c: usize, ldc: usize, n: i32, accumulate: bool, edge: usize,
): void {
  for (let i = 0; i < m; i += 6) {
    const height = min(6, m - i);
    const target = c + <usize>i * ldc;
    if (accumulate) copyEdge(edge, 32, target, ldc, height, n);
    rowsPanel(a + <usize>i * lda, lda, height, b, 32, k, edge, 32, accumulate);
    copyEdge(target, ldc, edge, 32, height, n);
  }
}

/**
 * C [m, n] (+)= A [m, k] B with B packed (panels of k rows); distances of rows in bytes. `edge` is 192 bytes of scratch.
 */
export function multiplyRows(
  a: usize, lda: usize, m: i32, b: usize, k: i32, n: i32, c: usize, ldc: usize, accumulate: bool, edge: usize,
): void {
  let j = 0;
  for (; j + PANEL <= n; j += PANEL) {
    rowsPanel(a, lda, m, b + <usize>j * <usize>(k << 2), 32, k, c + <usize>(j << 2), ldc, accumulate);
  }
  if (j < n) {
    rowsEdge(a, lda, m, b + <usize>j * <usize>(k << 2), k, c + <usize>(j << 2), ldc, n - j, accumulate, edge);
  }
}

/**
 * C [m, n rounded up to 8] (+)= A B with B [k, n] in place, rows ldb bytes apart. Columns of C beyond n are written with
 * what happens to lie behind B's rows: C must have room for them.
 */
export function multiplyRowsInPlace(
  a: usize, lda: usize, m: i32, b: usize, ldb: usize, k: i32, n: i32, c: usize, ldc: usize, accumulate: bool,
): void {
  for (let j = 0; j < n; j += PANEL) {
    rowsPanel(a, lda, m, b + <usize>(j << 2), ldb, k, c + <usize>(j << 2), ldc, accumulate);
  }
}

/**
 * C [m, n rounded up to 8] (+)= A^T B, A [k, m] and B [k, n] in place, rows lda and ldb bytes apart. Columns of C
 * beyond n are written with what happens to lie behind B's rows: C must have room for them.
 */
export function multiplyColumns(
  a: usize, lda: usize, m: i32, b: usize, ldb: usize, k: i32, n: i32, c: usize, ldc: usize, accumulate: bool,
): void {
  for (let j = 0; j < n; j += PANEL) {
    columnsPanel(a, lda, 24, m, b + <usize>(j << 2), ldb, k, c + <usize>(j << 2), ldc, accumulate);
  }
}

/** The same with A packed in strips and B in panels, each of k rows. */
export function multiplyStrips(
  a: usize, m: i32, b: usize, k: i32, n: i32, c: usize, ldc: usize, accumulate: bool,
): void {
  for (let j = 0; j < n; j += PANEL) {
    const panel = b + <usize>j * <usize>(k << 2);
    columnsPanel(a, 24, <usize>k * 24, m, panel, 32, k, c + <usize>(j << 2), ldc, accumulate);
  }
}

/** Rows of k that packStrips copies at once: they share few sets of the cache where rows are a power of 2 apart. */
const STRIP_ROWS: i32 = 8;

/** Packs A^T for A [k, m] f32 with rows of `lda` bytes: strips of 6 columns, [m / 6][k][6], of any content behind m. */
export function packStrips(out: usize, a: usize, lda: usize, m: i32, k: i32): void {
  for (let q = 0; q < k; q += STRIP_ROWS) {
    const end = min(q + STRIP_ROWS, k);
    for (let i = 0; i < m; i += 6) {
      let from = a + <usize>q * lda + <usize>(i << 2);
      let to = out + <usize>(i * k + q * 6) * 4;
      for (let r = q; r < end; r++) {
        v128.store(to, v128.load(from));
        v128.store(to, v128.load(from, 8), 8);
        from += lda;
        to += 24;
      }
    }
  }
}

/** Stores the transpose of 4 x 4 numbers: lane k of r0..r3 becomes row k, rows 32 bytes apart. */
// @ts-ignore: decorator
@inline
function storeTransposed(r0: v128, r1: v128, r2: v128, r3: v128, out: usize): void {
  const t0 = v128.shuffle<i32>(r0, r1, 0, 4, 1, 5);
  const t1 = v128.shuffle<i32>(r0, r1, 2, 6, 3, 7);
  const t2 = v128.shuffle<i32>(r2, r3, 0, 4, 1, 5);
  const t3 = v128.shuffle<i32>(r2, r3, 2, 6, 3, 7);
  v128.store(out, v128.shuffle<i64>(t0, t2, 0, 2));
  v128.store(out, v128.shuffle<i64>(t0, t2, 1, 3), 32);
  v128.store(out, v128.shuffle<i64>(t1, t3, 0, 2), 64);
  v128.store(out, v128.shuffle<i64>(t1, t3, 1, 3), 96);
}

/** Four scaled values along k of row `row` of W, zeros where the panel has no such row. */
// @ts-ignore: decorator
@inline
function packedRow(w: usize, row: usize, there: bool, dtype: i32, scale: v128): v128 {
  if (!there) return f32x4.splat(0);
  return f32x4.mul(loadAs(w, row, dtype), scale);
}

// @ts-ignore: decorator
@inline
function packTransposedAs(dtype: i32, out: usize, w: usize, ld: i32, n: i32, k: i32, scale: f32): void {
  const s = f32x4.splat(scale);
  for (let j = 0; j < n; j += PANEL) {
    const left = n - j;
    const row = <usize>j * <usize>ld;
    const step = <usize>ld;
    for (let q = 0; q < k; q += 4) {
      const at = row + <usize>q;
      for (let half = 0; half < 2; half++) {
        const first = half << 2;
        const from = at + <usize>first * step;
        const r0 = packedRow(w, from, left > first, dtype, s);
        const r1 = packedRow(w, from + step, left > first + 1, dtype, s);
        const r2 = packedRow(w, from + 2 * step, left > first + 2, dtype, s);
        const r3 = packedRow(w, from + 3 * step, left > first + 3, dtype, s);
        const to = out + <usize>(q << 5) + <usize>(half << 4);
        if (q + 4 <= k) storeTransposed(r0, r1, r2, r3, to);
        else storeTransposedEdge(r0, r1, r2, r3, to, k - q);
      }
    }
    out += <usize>(k << 5);
  }
}

/** The same for the last `count` < 4 values along k. */
function storeTransposedEdge(r0: v128, r1: v128, r2: v128, r3: v128, out: usize, count: i32): void {
  const t0 = v128.shuffle<i32>(r0, r1, 0, 4, 1, 5);
  const t2 = v128.shuffle<i32>(r2, r3, 0, 4, 1, 5);
  v128.store(out, v128.shuffle<i64>(t0, t2, 0, 2));
  if (count > 1) v128.store(out, v128.shuffle<i64>(t0, t2, 1, 3), 32);
  if (count > 2) {
    const t1 = v128.shuffle<i32>(r0, r1, 2, 6, 3, 7);
    const t3 = v128.shuffle<i32>(r2, r3, 2, 6, 3, 7);
    v128.store(out, v128.shuffle<i64>(t1, t3, 0, 2), 64);
  }
}

/**
 * Packs B = scale W^T for W [n, k] with rows of `ld` elements: `w` is the address of element 0 of the first row in
 * units of the type's own size (F32: 4 bytes, else 2).
 */
export function packTransposed(out: usize, w: usize, ld: i32, n: i32, k: i32, dtype: i32, scale: f32): void {
  if (dtype == F32) packTransposedAs(0, out, w, ld, n, k, scale);
  else if (dtype == BF16) packTransposedAs(1, out, w, ld, n, k, scale);
  else packTransposedAs(2, out, w, ld, n, k, scale);
}

// @ts-ignore: decorator
@inline
function packAs(dtype: i32, out: usize, w: usize, ld: i32, n: i32, k: i32, scale: f32): void {
  const s = f32x4.splat(scale);
  for (let j = 0; j < n; j += PANEL) {
    const width = n - j;
    let at = <usize>j;
    const low = laneMask(width);
    const high = laneMask(width - 4);
    for (let q = 0; q < k; q++) {
      v128.store(out, v128.and(f32x4.mul(loadAs(w, at, dtype), s), low));
      v128.store(out, v128.and(f32x4.mul(loadAs(w, at + 4, dtype), s), high), 16);
      at += <usize>ld;
      out += 32;
    }
  }
}

/** All ones in the first `count` lanes. */
// @ts-ignore: decorator
@inline
function laneMask(count: i32): v128 {
  return i32x4.gt_s(i32x4.splat(count), i32x4(0, 1, 2, 3));
}

/** Packs B = scale W for W [k, n] with rows of `ld` elements. */
export function pack(out: usize, w: usize, ld: i32, n: i32, k: i32, dtype: i32, scale: f32): void {
  if (dtype == F32) packAs(0, out, w, ld, n, k, scale);
  else if (dtype == BF16) packAs(1, out, w, ld, n, k, scale);
  else packAs(2, out, w, ld, n, k, scale);
}

/** Bytes of an element of type `dtype`. */
// @ts-ignore: decorator
@inline
export function bytesOf(dtype: i32): usize {
  return dtype == F32 ? 4 : 2;
}
