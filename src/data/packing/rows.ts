import type { Encoded } from '../examples.js';

/** The label of a slot that predicts nothing. */
export const NO_LABEL = -100;

/**
 * A sequence of N slots. Each of the filled ones reads one token and predicts the next one of the same document, if that
 * is to be learned; what is left at the end is padding. Only best-fit packing pads, and a stream's last row.
 */
export interface Row {
  /** [N] token ids; 0 where padded. */
  tokens: Uint32Array;
  /** [N] the id after each token, or NO_LABEL. */
  labels: Int32Array;
  /**
   * [N] place inside the document's piece in this row. Attention reaches back exactly this many slots, so positions
   * are the segmentation too. 0 where padded.
   */
  positions: Uint32Array;
  /** Slots that hold a token: the first ones. */
  filled: number;
  /** Ids of the documents in this row, in order. */
  documents: string[];
  /** What is wrong with documents that were left out since the rows before it, the first of them: a line each. */
  skipped?: readonly string[];
}

/** Consecutive pairs (input, label) of a document: of n pairs, n + 1 tokens. */
export interface Piece extends Encoded {
  /** The document's id. */
  readonly document: string;
}

export function emptyRow(sequence: number): Row {
  return {
    tokens: new Uint32Array(sequence),
    labels: new Int32Array(sequence).fill(NO_LABEL),
    positions: new Uint32Array(sequence),
    filled: 0,
    documents: [],
  };
}

/** Puts a piece behind what is in a row that has room for it. */
export function appendPiece(row: Row, { document, tokens, learned }: Piece): void {
  const [at, count] = [row.filled, tokens.length - 1];
  row.tokens.set(tokens.subarray(0, count), at);
  row.labels.set(tokens.subarray(1), at);
  for (let i = 0; i < count; i++) {
    row.positions[at + i] = i;
    if (learned?.[i + 1] === 0) row.labels[at + i] = NO_LABEL;
  }
  row.documents.push(document);
  row.filled += count;
}

export const hasLabel = ({ labels }: Row): boolean => labels.some((label) => label !== NO_LABEL);
