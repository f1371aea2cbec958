import { partBytes } from './column_sum';
import { fma, sumLanes } from './simd';
import { loadFirst, storeFirst } from './tail';

/**
 * y = x rstd weight, rstd = 1 / sqrt(mean(x^2) + eps): x, y [rows, columns], weight [columns], rstd [rows]. A row is
 * what is normalised together. A tile is some rows.
 */
export function rmsnorm(
  tile: i32, scratch: usize, x: usize, weight: usize, y: usize, rstd: usize, rows: i32, columns: i32,
  rowsPerTile: i32, eps: f32,
): void {
  const end = min((tile + 1) * rowsPerTile, rows);
  for (let row = tile * rowsPerTile; row < end; row++) {
    const offset = (<usize>row * columns) << 2;
    const scale: f32 = 1 / sqrt<f32>(sumOfSquares(x + offset, columns) / <f32>columns + eps);
    store<f32>(rstd + (<usize>row << 2), scale);
    for (let j = 0; j < columns; j += 4) {
      const at = <usize>j << 2;
      const normal = f32x4.mul(v128.load(x + offset + at), f32x4.splat(scale));
      storeFirst(y + offset + at, f32x4.mul(normal, v128.load(weight + at)), columns - j);
    }
  }
}

/**
 * dx = base + rstd (weight dy - x rstd^2 mean(weight dy x)); base 0 is none, dx may be base or dy. Shapes and tiles
 * as in `rmsnorm`.
 */
export function rmsnorm_dx(
  tile: i32, scratch: usize, base: usize, dy: usize, x: usize, weight: usize, rstd: usize, dx: usize, rows: i32,
  columns: i32, rowsPerTile: i32,
): void {
  const end = min((tile + 1) * rowsPerTile, rows);
  for (let row = tile * rowsPerTile; row < end; row++) {
    const offset = (<usize>row * columns) << 2;
    const scale = load<f32>(rstd + (<usize>row << 2));
    const mean = sumOfProducts(weight, dy + offset, x + offset, columns) / <f32>columns;
    const along = f32x4.splat(-(scale * scale * scale * mean));
    for (let j = 0; j < columns; j += 4) {
      const at = offset + (<usize>j << 2);
      const start = base ? v128.load(base + at) : f32x4.splat(0);
      const product = f32x4.mul(v128.load(weight + (<usize>j << 2)), v128.load(dy + at));
      const sum = fma(f32x4.splat(scale), product, fma(along, v128.load(x + at), start));
      storeFirst(dx + at, sum, columns - j);
    }
  }
}

/** parts[tile] = the sum of dy x rstd over a tile's rows, in their order; rows and parts as in `column_sum`. */
export function rmsnorm_dw(
  tile: i32, scratch: usize, dy: usize, x: usize, rstd: usize, parts: usize, rows: i32, columns: i32,
  rowsPerTile: i32,
): void {
  const part = parts + <usize>tile * partBytes(columns);
  memory.fill(part, 0, partBytes(columns));
  const end = min((tile + 1) * rowsPerTile, rows);
  for (let row = tile * rowsPerTile; row < end; row++) {
    const offset = (<usize>row * columns) << 2;
    const scale = v128.load32_splat(rstd + (<usize>row << 2));
    for (let at: usize = 0; at < <usize>columns << 2; at += 16) {
      const normal = f32x4.mul(v128.load(x + offset + at), scale);
      v128.store(part + at, fma(v128.load(dy + offset + at), normal, v128.load(part + at)));
    }
  }
}

/** Sums of products go into four vectors in turn, so that no step waits for the one before it. */
function sumOfSquares(x: usize, count: i32): f32 {
  let s0 = f32x4.splat(0);
  let s1 = s0;
  let s2 = s0;
  let s3 = s0;
  let j = 0;
  for (; j <= count - 16; j += 16) {
    const at = x + (<usize>j << 2);
    s0 = fma(v128.load(at), v128.load(at), s0);
    s1 = fma(v128.load(at, 16), v128.load(at, 16), s1);
    s2 = fma(v128.load(at, 32), v128.load(at, 32), s2);
    s3 = fma(v128.load(at, 48), v128.load(at, 48), s3);
  }
  for (; j < count; j += 4) {
    const rest = loadFirst(x + (<usize>j << 2), count - j);
    s0 = fma(rest, rest, s0);
  }
  return sumLanes(f32x4.add(f32x4.add(s0, s1), f32x4.add(s2, s3)));
}

function sumOfProducts(weight: usize, dy: usize, x: usize, count: i32): f32 {
  let s0 = f32x4.splat(0);
  let s1 = s0;
  let s2 = s0;
  let s3 = s0;
  let j = 0;
  for (; j <= count - 16; j += 16) {
    const at = <usize>j << 2;
    s0 = fma(f32x4.mul(v128.load(weight + at), v128.load(dy + at)), v128.load(x + at), s0);
    s1 = fma(f32x4.mul(v128.load(weight + at, 16), v128.load(dy + at, 16)), v128.load(x + at, 16), s1);
    s2 = fma(f32x4.mul(v128.load(weight + at, 32), v128.load(dy + at, 32)), v128.load(x + at, 32), s2);
    s3 = fma(f32x4.mul(v128.load(weight + at, 48), v128.load(dy + at, 48)), v128.load(x + at, 48), s3);
  }
  for (; j < count; j += 4) {
    const at = <usize>j << 2;
    const left = count - j;
    const product = f32x4.mul(loadFirst(weight + at, left), loadFirst(dy + at, left));
    s0 = fma(product, loadFirst(x + at, left), s0);
  }
  return sumLanes(f32x4.add(f32x4.add(s0, s1), f32x4.add(s2, s3)));
}
