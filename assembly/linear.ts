import {
  BLOCK_BYTES, bytesOf, K_BLOCK, multiplyColumns, multiplyRows, multiplyStrips, N_BLOCK, pack, packStrips, packTransposed,
} from './gemm';
import { F32 } from './simd';
import { storeFirst } from './tail';

/** C [m, n] (+)= scale A W^T, A [m, k] f32, W [n, k]; `w` points at the first of the n rows. */
export function productTransposed(
  scratch: usize, a: usize, m: i32, k: i32, w: usize, dtype: i32, n: i32, c: usize, ldc: usize, scale: f32,
  accumulate: bool,
): void {
  const lda = <usize>(k << 2);
  for (let q = 0; q < k; q += K_BLOCK) {
    const depth = min(K_BLOCK, k - q);
    packTransposed(scratch, w + <usize>q * bytesOf(dtype), k, n, depth, dtype, scale);
    const edge = scratch + BLOCK_BYTES - 256;
    multiplyRows(a + <usize>(q << 2), lda, m, scratch, depth, n, c, ldc, accumulate || q > 0, edge);
  }
}

/** C [m, n] (+)= scale A W, A [m, k] f32, W [k, ld]; `w` points at the first of the n columns. */
export function product(
  scratch: usize, a: usize, lda: usize, m: i32, k: i32, w: usize, ld: i32, dtype: i32, n: i32, c: usize, ldc: usize,
  scale: f32, accumulate: bool,
): void {
  for (let q = 0; q < k; q += K_BLOCK) {
    const depth = min(K_BLOCK, k - q);
    pack(scratch, w + <usize>q * <usize>ld * bytesOf(dtype), ld, n, depth, dtype, scale);
    const edge = scratch + BLOCK_BYTES - 256;
    multiplyRows(a + <usize>(q << 2), lda, m, scratch, depth, n, c, ldc, accumulate || q > 0, edge);
  }
}

/** Copies a tile of `base` to `y`, both [.., n] with `height` rows of `width`, unless they are the same. */
function copyTile(y: usize, base: usize, n: i32, height: i32, width: i32): void {
  if (y == base) return;
  for (let i = 0; i < height; i++) {
    memory.copy(y + <usize>i * <usize>(n << 2), base + <usize>i * <usize>(n << 2), <usize>(width << 2));
  }
}

/** Adds `bias` to each row of a tile of `y`, [.., n] with `height` rows of `width`; sets them to it with `fresh`. */
function addBias(y: usize, bias: usize, fresh: bool, n: i32, height: i32, width: i32): void {
  for (let i = 0; i < height; i++) {
    const row = y + <usize>i * <usize>(n << 2);
    for (let j = 0; j < width; j += 4) {
      const at = <usize>(j << 2);
      const start = fresh ? f32x4.splat(0) : v128.load(row + at);
      storeFirst(row + at, f32x4.add(start, v128.load(bias + at)), width - j);
    }
  }
}

/**
 * One tile of y [m, n] = base + bias + sum_i scale_i x_i M_i: rowsPerTile rows x columnsPerTile <= N_BLOCK columns, with
 * M_i = w_i^T for w_i [n, k_i] when TRANSPOSED, else w_i [k_i, n]. base, bias and the second term may be 0; base may be y.
 */
// @ts-ignore: decorator
@inline
function sumOfProducts(
  TRANSPOSED: bool, tile: i32, scratch: usize, base: usize, y: usize, m: i32, n: i32, rowsPerTile: i32,
  columnsPerTile: i32, x1: usize, w1: usize, k1: i32, dtype1: i32, scale1: f32, x2: usize, w2: usize, k2: i32,
  dtype2: i32, scale2: f32, bias: usize,
): void {
  const across = (n + columnsPerTile - 1) / columnsPerTile;
  const i = (tile / across) * rowsPerTile;
  const j = (tile % across) * columnsPerTile;
  const height = min(rowsPerTile, m - i);
  const width = min(columnsPerTile, n - j);
  const ldc = <usize>(n << 2);
  const corner = <usize>i * ldc + <usize>(j << 2);
  const c = y + corner;
  if (base) copyTile(c, base + corner, n, height, width);
  if (bias) addBias(c, bias + <usize>(j << 2), base == 0, n, height, width);
  const started = (base | bias) != 0;
  const a1 = x1 + <usize>i * <usize>(k1 << 2);
  const a2 = x2 + <usize>i * <usize>(k2 << 2);
  if (TRANSPOSED) {
    const at1 = w1 + <usize>j * <usize>k1 * bytesOf(dtype1);
    productTransposed(scratch, a1, height, k1, at1, dtype1, width, c, ldc, scale1, started);
    if (x2 == 0) return;
    const at2 = w2 + <usize>j * <usize>k2 * bytesOf(dtype2);
    productTransposed(scratch, a2, height, k2, at2, dtype2, width, c, ldc, scale2, true);
  } else {
    const at1 = w1 + <usize>j * bytesOf(dtype1);
    product(scratch, a1, <usize>(k1 << 2), height, k1, at1, n, dtype1, width, c, ldc, scale1, started);
    if (x2 == 0) return;
    const at2 = w2 + <usize>j * bytesOf(dtype2);
    product(scratch, a2, <usize>(k2 << 2), height, k2, at2, n, dtype2, width, c, ldc, scale2, true);
  }
}

/** y [m, n] = base + bias + scale1 x1 w1^T + scale2 x2 w2^T, x_i [m, k_i], w_i [n, k_i], bias [n]. */
export function linear(
  tile: i32, scratch: usize, base: usize, y: usize, m: i32, n: i32, rowsPerTile: i32, columnsPerTile: i32,
  x1: usize, w1: usize, k1: i32, dtype1: i32, scale1: f32,
  x2: usize, w2: usize, k2: i32, dtype2: i32, scale2: f32, bias: usize,
): void {
  sumOfProducts(
    true, tile, scratch, base, y, m, n, rowsPerTile, columnsPerTile, x1, w1, k1, dtype1, scale1, x2, w2, k2, dtype2,
    scale2, bias,
  );
}

/** dx [m, n] = base + scale1 dy1 w1 + scale2 dy2 w2, dy_i [m, k_i], w_i [k_i, n]. */
export function linear_dx(
  tile: i32, scratch: usize, base: usize, dx: usize, m: i32, n: i32, rowsPerTile: i32, columnsPerTile: i32,
  dy1: usize, w1: usize, k1: i32, dtype1: i32, scale1: f32,
  dy2: usize, w2: usize, k2: i32, dtype2: i32, scale2: f32,
): void {
  sumOfProducts(
    false, tile, scratch, base, dx, m, n, rowsPerTile, columnsPerTile, dy1, w1, k1, dtype1, scale1, dy2, w2, k2, dtype2,
    scale2, 0,
  );
}

/** Tokens that linear_dw multiplies at once: 256 cache lines per panel stay in L1. */
const DW_BLOCK: i32 = 256;
/** Most columns of a tile, and rows of one whose operands are packed. */
const DW_COLUMNS: i32 = 128;
const DW_ROWS: i32 = 126;

/**
 * dw = base + scale big^T small, summed over `tokens` in order: big [tokens, m], small [tokens, n]. dw is [m, n], or
 * [n, m] when `flip`. One tile = rowsPerTile columns of `big` x columnsPerTile <= DW_COLUMNS of `small`. With `packed`,
 * which pays where both are wide and their rows far apart, a tile has at most DW_ROWS rows.
 */
export function linear_dw(
  tile: i32, scratch: usize, base: usize, dw: usize, big: usize, m: i32, small: usize, n: i32, tokens: i32,
  rowsPerTile: i32, columnsPerTile: i32, scale: f32, flip: i32, packed: i32,
): void {
  const across = (n + columnsPerTile - 1) / columnsPerTile;
  const i = (tile / across) * rowsPerTile;
  const j = (tile % across) * columnsPerTile;
  const height = min(rowsPerTile, m - i);
  const width = min(columnsPerTile, n - j);
  const lda = <usize>(m << 2);
  const ldb = <usize>(n << 2);
  const ldc = <usize>(DW_COLUMNS << 2);
  const strips = scratch + <usize>DW_ROWS * ldc;
  const panels = strips + <usize>(DW_ROWS * DW_BLOCK * 4);
  for (let t = 0; t < tokens; t += DW_BLOCK) {
    const a = big + <usize>t * lda + <usize>(i << 2);
    const b = small + <usize>t * ldb + <usize>(j << 2);
    const depth = min(DW_BLOCK, tokens - t);
    if (packed) {
      packStrips(strips, a, lda, height, depth);
      pack(panels, b, n, width, depth, F32, 1);
      multiplyStrips(strips, height, panels, depth, width, scratch, ldc, t > 0);
    } else {
      multiplyColumns(a, lda, height, b, ldb, depth, width, scratch, ldc, t > 0);
    }
  }
  storeDw(scratch, base, dw, i, height, m, j, width, n, scale, flip);
}

function storeDw(
  from: usize, base: usize, dw: usize, i: i32, height: i32, m: i32, j: i32, width: i32, n: i32, scale: f32, flip: i32,
): void {
  for (let r = 0; r < height; r++) {
    for (let s = 0; s < width; s++) {
      const value = load<f32>(from + <usize>((r * DW_COLUMNS + s) << 2)) * scale;
      const at = <usize>(flip ? (j + s) * m + i + r : (i + r) * n + j + s) << 2;
      store<f32>(dw + at, base ? load<f32>(base + at) + value : value);
    }
  }
}
