import { NO_LABEL, type Row } from '../data/packing/rows.js';
import type { Tokenizer } from '../data/tokenizer.js';

/**
 * UTF-8 bytes of the text of all tokens that a row predicts, each read with what is before it in its document's piece:
 * the bytes of "bits per byte". What is not predicted (the first token of a piece, a prompt) has no loss and no bytes.
 */
export function predictedBytes(tokenizer: Pick<Tokenizer, 'byteLengths'>, row: Row): number {
  const { tokens, labels, positions, filled } = row;
  let bytes = 0;
  for (let from = 0, to = 1; from < filled; from = to++) {
    while (to < filled && positions[to] !== 0) to++;
    const last = labels[to - 1]!;
    const ids = [...tokens.subarray(from, to), ...(last === NO_LABEL ? [] : [last])];
    const lengths = tokenizer.byteLengths(ids);
    for (let i = from; i < to; i++) {
      if (labels[i] !== NO_LABEL) bytes += lengths[i - from + 1]!;
    }
  }
  return bytes;
}
