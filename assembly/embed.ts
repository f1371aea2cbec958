import { BF16, F16, F32, loadAs } from './simd';
import { storeFirst } from './tail';

/** x_t = weight[tokens_t]: tokens u32 [rows], weight `dtype` [V, columns] -> f32 [rows, columns]. A tile is some rows. */
export function embed(
  tile: i32, scratch: usize, tokens: usize, weight: usize, x: usize, dtype: i32, rows: i32, columns: i32,
  rowsPerTile: i32,
): void {
  const end = min((tile + 1) * rowsPerTile, rows);
  for (let row = tile * rowsPerTile; row < end; row++) {
    const from = load<u32>(tokens + (<usize>row << 2)) * columns;
    const to = x + ((<usize>row * columns) << 2);
    if (dtype == F32) memory.copy(to, weight + (from << 2), <usize>columns << 2);
    else if (dtype == BF16) widen(to, weight, from, columns, BF16);
    else widen(to, weight, from, columns, F16);
  }
}

// @ts-ignore: decorator
@inline
function widen(to: usize, weight: usize, from: usize, columns: i32, dtype: i32): void {
  for (let j = 0; j < columns; j += 4) storeFirst(to + (<usize>j << 2), loadAs(weight, from + j, dtype), columns - j);
}
