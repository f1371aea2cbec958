/**
 * Numbers in a tile of a row-wise kernel: enough to outweigh the hand-out of a tile, few enough that threads end
 * together. A multiple of 4, so that only the last tile has a partial vector.
 */
export const TILE_NUMBERS = 16384;

/** Rows in a tile of a kernel that works on whole rows. */
export const rowsPerTile = (columns: number): number => Math.max(1, Math.floor(TILE_NUMBERS / columns));
