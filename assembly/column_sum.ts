import { storeFirst } from './tail';

/** Distance in bytes of two parts, each a row of `columns` numbers with room for whole vectors. */
export function partBytes(columns: i32): usize {
  return <usize>((columns + 3) & ~3) << 2;
}

/** parts[tile] = the sum of a tile's rows, in their order: x [rows, columns], parts [tiles, columns rounded up to 4]. */
export function column_sum(
  tile: i32, scratch: usize, x: usize, parts: usize, rows: i32, columns: i32, rowsPerTile: i32,
): void {
  const part = parts + <usize>tile * partBytes(columns);
  memory.fill(part, 0, partBytes(columns));
  const end = min((tile + 1) * rowsPerTile, rows);
  for (let row = tile * rowsPerTile; row < end; row++) {
    const from = x + ((<usize>row * columns) << 2);
    for (let at: usize = 0; at < <usize>columns << 2; at += 16) {
      v128.store(part + at, f32x4.add(v128.load(part + at), v128.load(from + at)));
    }
  }
}

/** y = base + the sum of `count` parts, in their order; base 0 is none and may be y. A tile is a range of columns. */
export function sum_parts(
  tile: i32, scratch: usize, base: usize, parts: usize, count: i32, y: usize, columns: i32, columnsPerTile: i32,
): void {
  const end = min((tile + 1) * columnsPerTile, columns);
  for (let j = tile * columnsPerTile; j < end; j += 4) {
    const at = <usize>j << 2;
    let sum = base ? v128.load(base + at) : f32x4.splat(0);
    for (let i = 0; i < count; i++) sum = f32x4.add(sum, v128.load(parts + <usize>i * partBytes(columns) + at));
    storeFirst(y + at, sum, end - j);
  }
}
