/** A token that is kept nowhere. */
const NO_PLACE: u32 = 0xffffffff;

/** target[places_t] = x_t: x [rows, columns], places u32 [rows]. A tile is some rows. */
export function scatter(
  tile: i32, scratch: usize, x: usize, places: usize, target: usize, rows: i32, columns: i32, rowsPerTile: i32,
): void {
  const bytes = <usize>columns << 2;
  const end = min((tile + 1) * rowsPerTile, rows);
  for (let row = tile * rowsPerTile; row < end; row++) {
    const place = load<u32>(places + (<usize>row << 2));
    if (place != NO_PLACE) memory.copy(target + <usize>place * bytes, x + <usize>row * bytes, bytes);
  }
}
