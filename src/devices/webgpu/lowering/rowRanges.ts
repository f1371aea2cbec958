import { columns, elementBytes, rows, type Value } from '../../../program/types.js';
import { type Limits, type Operands, type Region, roundUp } from './lowering.js';

/** Rows in a range are a multiple of this, so that every range starts at a multiple of 256 bytes. */
const RANGE_ROWS = 128;

/** Rows `first` to `first + count` of a matrix. */
export interface RowRange {
  readonly first: number;
  readonly count: number;
}

/** Rows 0 to `count`, in ranges of at most `most`. */
export function rangesOf(count: number, most: number): RowRange[] {
  return Array.from({ length: Math.ceil(count / most) }, (_, i) => {
    const first = i * most;
    return { first, count: Math.min(most, count - first) };
  });
}

/** How many rows of `rowBytes` one binding shows: all `height` of them, or as many as a range may have. */
export function rowsInBinding(height: number, rowBytes: number, { bindingBytes }: Limits): number {
  const fit = Math.floor(bindingBytes / rowBytes);
  return fit >= height ? height : Math.max(RANGE_ROWS, fit - (fit % RANGE_ROWS));
}

/** Bytes of rows of a region that holds a matrix. */
export function sliceRows(region: Region, { first, count }: RowRange, rowBytes: number): Region {
  return { ...region, offset: region.offset + first * rowBytes, bytes: roundUp(count * rowBytes, 4) };
}

/** All rows of a matrix, in as few ranges as one binding each can show. */
export const rowRanges = (matrix: Value, at: Operands): RowRange[] =>
  rangesOf(rows(matrix), rowsInBinding(rows(matrix), rowBytes(matrix, at), at.target));

export const regionOfRows = (matrix: Value, range: RowRange, at: Operands): Region =>
  sliceRows(at.of(matrix), range, rowBytes(matrix, at));

const rowBytes = (matrix: Value, at: Operands): number => columns(matrix) * elementBytes(at.typeOf(matrix));
