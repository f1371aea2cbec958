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

const FIRST_ROWS = 64;

/**
 * Rows in four arrays: an object with arrays of its own for each would take a hundred times the memory of a row of one
 * slot. What `row` gives are views.
 */
export class RowBlock {
  readonly #sequence: number;
  #rows = 0;
  #tokens: Uint32Array;
  #labels: Int32Array;
  #positions: Uint32Array;
  #filled: Uint32Array = new Uint32Array(FIRST_ROWS);
  /** Of each row, where its documents begin and end in `#names`; the first may be the last one of the row before. */
  #spans: Uint32Array = new Uint32Array(2 * FIRST_ROWS);
  readonly #names: string[] = [];

  constructor(sequence: number) {
    this.#sequence = sequence;
    this.#tokens = new Uint32Array(FIRST_ROWS * sequence);
    this.#labels = new Int32Array(FIRST_ROWS * sequence);
    this.#positions = new Uint32Array(FIRST_ROWS * sequence);
  }

  get length(): number {
    return this.#rows;
  }

  add({ tokens, labels, positions, filled, documents }: Row): void {
    if (this.#rows === this.#filled.length) this.#grow();
    const at = this.#rows * this.#sequence;
    this.#tokens.set(tokens, at);
    this.#labels.set(labels, at);
    this.#positions.set(positions, at);
    this.#filled[this.#rows] = filled;
    const isShared = documents.length > 0 && documents[0] === this.#names.at(-1);
    const first = this.#names.length - (isShared ? 1 : 0);
    for (const name of isShared ? documents.slice(1) : documents) this.#names.push(name);
    this.#spans.set([first, this.#names.length], 2 * this.#rows);
    this.#rows++;
  }

  row(index: number): Row {
    const [from, to] = [index * this.#sequence, (index + 1) * this.#sequence];
    return {
      tokens: this.#tokens.subarray(from, to),
      labels: this.#labels.subarray(from, to),
      positions: this.#positions.subarray(from, to),
      filled: this.#filled[index]!,
      documents: this.#names.slice(this.#spans[2 * index], this.#spans[2 * index + 1]),
    };
  }

  #grow(): void {
    this.#tokens = doubled(this.#tokens, Uint32Array);
    this.#labels = doubled(this.#labels, Int32Array);
    this.#positions = doubled(this.#positions, Uint32Array);
    this.#filled = doubled(this.#filled, Uint32Array);
    this.#spans = doubled(this.#spans, Uint32Array);
  }
}

function doubled<T extends Uint32Array | Int32Array>(values: T, type: new (length: number) => T): T {
  const larger = new type(2 * values.length);
  larger.set(values);
  return larger;
}

export const hasLabel = ({ labels }: Row): boolean => labels.some((label) => label !== NO_LABEL);
