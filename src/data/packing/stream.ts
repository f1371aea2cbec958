import type { PieceReader } from './pieces.js';
import { appendPiece, emptyRow, hasLabel, type Row } from './rows.js';

/**
 * A block of rows in which documents run on from row to row: what does not fit continues in the next row, as a piece of
 * its own. Only the last row of all has padding. Rows without a label are left out.
 */
export async function streamRows(pieces: PieceReader, sequence: number, blockRows: number): Promise<Row[]> {
  const rows: Row[] = [];
  while (rows.length < blockRows) {
    const row = await nextRow(pieces, sequence);
    if (row.filled === 0) break;
    if (hasLabel(row)) rows.push(row);
  }
  return rows;
}

async function nextRow(pieces: PieceReader, sequence: number): Promise<Row> {
  const row = emptyRow(sequence);
  while (row.filled < sequence && (await pieces.more())) appendPiece(row, pieces.take(sequence - row.filled));
  return row;
}
