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

/** dw = base, or 0 where base is 0: a tile is a range of the `size` numbers. */
export function embed_dw_start(tile: i32, scratch: usize, base: usize, dw: usize, size: i32, perTile: i32): void {
  const at = <usize>(tile * perTile) << 2;
  const bytes = <usize>min(perTile, size - tile * perTile) << 2;
  if (base) memory.copy(dw + at, base + at, bytes);
  else memory.fill(dw + at, 0, bytes);
}

/**
 * dw[tokens_t] += dx_t for t in order: tokens u32 [rows], dx [rows, columns], dw [V, columns]. A tile is a range of
 * columns, so that each number is added to by one thread and frequent tokens cost all tiles the same.
 */
export function embed_dw(
  tile: i32, scratch: usize, tokens: usize, dx: usize, dw: usize, rows: i32, columns: i32, columnsPerTile: i32,
): void {
  const begin = tile * columnsPerTile;
  const end = min(begin + columnsPerTile, columns);
  for (let row = 0; row < rows; row++) {
    const from = dx + ((<usize>row * columns) << 2);
    const to = dw + ((<usize>load<u32>(tokens + (<usize>row << 2)) * columns) << 2);
    for (let j = begin; j < end; j += 4) {
      const at = <usize>j << 2;
      storeFirst(to + at, f32x4.add(v128.load(to + at), v128.load(from + at)), end - j);
    }
  }
}
