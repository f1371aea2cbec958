import type { Encoded } from '../examples.js';
import { emptyRow, hasLabel, NO_LABEL, type Row } from './rows.js';

/**
 * One document cut into consecutive windows of `sequence` tokens, for perplexity: each window predicts its own tokens
 * 2 .. N from its own tokens 1 .. N - 1, so its last slot has no label. The last window may be shorter (padded); one
 * with no label is left out.
 */
export function* evaluationRows({ tokens, learned }: Encoded, sequence: number, id: string): Generator<Row> {
  for (let first = 0; first + 1 < tokens.length; first += sequence) {
    const window = tokens.subarray(first, first + sequence);
    const row = emptyRow(sequence);
    row.tokens.set(window);
    row.labels.set(window.subarray(1));
    row.filled = window.length;
    for (let i = 0; i < window.length; i++) {
      row.positions[i] = i;
      if (learned?.[first + i + 1] === 0) row.labels[i] = NO_LABEL;
    }
    if (!hasLabel(row)) continue;
    row.documents.push(id);
    yield row;
  }
}

/**
 * Puts a window behind those in a row, where positions that restart keep it apart from them.
 * @returns whether there was room for it
 */
export function appendWindow(row: Row, window: Row): boolean {
  const [at, count] = [row.filled, window.filled];
  if (at + count > row.tokens.length) return false;
  row.tokens.set(window.tokens.subarray(0, count), at);
  row.labels.set(window.labels.subarray(0, count), at);
  row.positions.set(window.positions.subarray(0, count), at);
  row.filled += count;
  row.documents = [...new Set([...row.documents, ...window.documents])];
  return true;
}
