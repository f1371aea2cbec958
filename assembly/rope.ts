import { fma } from './simd';
import { storeFirst } from './tail';

/**
 * Rotates the heads of x [rows, heads * 2 half] by the tokens' positions u32 [rows], rotate-half layout, with the
 * table f32 [.., 2 half] of `half` cosines and `half` sines; direction 1 or -1. y may be x. A tile is some rows.
 */
export function rope(
  tile: i32, scratch: usize, x: usize, positions: usize, table: usize, y: usize, rows: i32, heads: i32, half: i32,
  rowsPerTile: i32, direction: f32,
): void {
  const headBytes = <usize>half << 3;
  const end = min((tile + 1) * rowsPerTile, rows);
  for (let row = tile * rowsPerTile; row < end; row++) {
    const angles = table + <usize>load<u32>(positions + (<usize>row << 2)) * headBytes;
    for (let head = 0; head < heads; head++) {
      const offset = (<usize>row * heads + head) * headBytes;
      rotate(x + offset, angles, y + offset, half, direction);
    }
  }
}

// @ts-ignore: decorator
@inline
function rotate(x: usize, angles: usize, y: usize, half: i32, direction: f32): void {
  const second = <usize>half << 2;
  for (let j = 0; j < half; j += 4) {
    const at = <usize>j << 2;
    const a = v128.load(x + at);
    const b = v128.load(x + at + second);
    const cos = v128.load(angles + at);
    const sin = f32x4.mul(v128.load(angles + at + second), f32x4.splat(direction));
    storeFirst(y + at, fma(f32x4.neg(b), sin, f32x4.mul(a, cos)), half - j);
    storeFirst(y + at + second, fma(a, sin, f32x4.mul(b, cos)), half - j);
  }
}
