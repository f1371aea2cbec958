import { columns, elementBytes, rows, type Value } from '../../../program/types.js';
import { type Operands, type Region, roundUp } from './lowering.js';

/** Rows in a range are a multiple of this, so that every range starts at a multiple of 256 bytes. */
const RANGE_ROWS = 128;

/** Rows `first` to `first + count` of a matrix. */
export interface RowRange {
  readonly first: number;
  readonly count: number;
}

/** All rows of a matrix, in as few ranges as one binding each can show. */
export function rowRanges(matrix: Value, at: Operands): RowRange[] {
  const [height, fit] = [rows(matrix), Math.floor(at.target.bindingBytes / rowBytes(matrix, at))];
  const most = fit >= height ? height : Math.max(RANGE_ROWS, fit - (fit % RANGE_ROWS));
  return Array.from({ length: Math.ceil(height / most) }, (_, i) => {
    const first = i * most;
    return { first, count: Math.min(most, height - first) };
  });
}

export function regionOfRows(matrix: Value, { first, count }: RowRange, at: Operands): Region {
  const region = at.of(matrix);
  const bytes = rowBytes(matrix, at);
  return { ...region, offset: region.offset + first * bytes, bytes: roundUp(count * bytes, 4) };
}

const rowBytes = (matrix: Value, at: Operands): number => columns(matrix) * elementBytes(at.typeOf(matrix));
