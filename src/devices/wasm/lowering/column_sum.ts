import { columns, elementCount, rows, type Value } from '../../../program/types.js';
import { type Addresses, type KernelCall, type Lowering, tileCount } from './lowering.js';
import { rowsPerTile } from './tiles.js';

/** Parts that a sum over rows is cut into at most: enough for the threads, few enough to be added up at once. */
const MAX_PARTS = 32;
const COLUMNS_PER_TILE = 1024;

/** A sum over `height` rows of `width` numbers: rows of a part, and the parts. */
export function partsOf(height: number, width: number): { perTile: number; parts: number; bytes: number } {
  const perTile = Math.max(rowsPerTile(width), tileCount(height, MAX_PARTS));
  const parts = tileCount(height, perTile);
  return { perTile, parts, bytes: 16 * Math.ceil(width / 4) * parts };
}

/** y = base + the parts in the workspace. */
export function sumParts(base: Value | null | undefined, y: Value, parts: number, at: Addresses): KernelCall {
  const width = elementCount(y.shape);
  const args = [at.of(base), at.workspace, parts, at.of(y), width, COLUMNS_PER_TILE];
  return { kernel: 'sum_parts', tiles: tileCount(width, COLUMNS_PER_TILE), args };
}

export const columnSumLowering: Lowering = {
  lower: ({ inputs: [base, x], outputs: [y] }, at) => {
    const [height, width] = [rows(x!), columns(x!)];
    const { perTile, parts } = partsOf(height, width);
    const args = [at.of(x), at.workspace, height, width, perTile];
    return [{ kernel: 'column_sum', tiles: parts, args }, sumParts(base, y!, parts, at)];
  },
  workspaceBytes: ({ inputs: [, x] }) => partsOf(rows(x!), columns(x!)).bytes,
};
