import type { BlockSize } from './blockSize.js';
import type { PieceReader } from './pieces.js';
import { appendPiece, emptyRow, hasLabel, type Row, RowBlock } from './rows.js';

/**
 * A block of rows in which documents run on from row to row: what does not fit continues in the next row, as a piece of
 * its own. Only the last row of all has padding. Rows without a label are left out.
 */
export async function streamRows(
  pieces: PieceReader,
  sequence: number,
  { rows, epochs }: BlockSize,
): Promise<RowBlock> {
  const block = new RowBlock(sequence);
  const end = pieces.position.epoch + epochs;
  while (block.length < rows && (block.length === 0 || pieces.position.epoch < end)) {
    const row = await nextRow(pieces, sequence);
    if (row.filled === 0) break;
    if (hasLabel(row)) block.add(row);
  }
  return block;
}

async function nextRow(pieces: PieceReader, sequence: number): Promise<Row> {
  const row = emptyRow(sequence);
  while (row.filled < sequence && (await pieces.more())) appendPiece(row, pieces.take(sequence - row.filled));
  return row;
}
