import { BadDocument, type DocumentSource } from './documents.js';
import type { Encode } from './encoding.js';
import { isText } from './examples.js';
import { bestFitRows } from './packing/bestFit.js';
import { BLOCK_EPOCHS } from './packing/blockSize.js';
import { type PieceCursor, type PieceOptions, PieceReader } from './packing/pieces.js';
import { type Row, RowBlock } from './packing/rows.js';
import { streamRows } from './packing/stream.js';
import { permutation } from './random.js';

export type { LongDocuments } from './packing/longDocuments.js';
export { NO_LABEL, type Row } from './packing/rows.js';

/** How documents are laid out in rows. */
export type Packing = keyof typeof PACKINGS;

/** One file per way. Each gives the next block of rows, none at the end. */
const PACKINGS = { stream: streamRows, 'best-fit': bestFitRows } as const;

/** Where a stream of rows stands, plain JSON of constant size: where the current block of rows starts, and how far it is. */
export interface Cursor extends PieceCursor {
  /** Rows in all earlier blocks; numbers the block's permutation. */
  readonly row: number;
  /** Rows of the block already handed out. */
  readonly emitted: number;
  /** Documents left out so far, as far as the rows handed out tell. */
  readonly skipped: number;
  /** Epochs that a block may hold; absent in runs begun before there was a limit, which go on without. */
  readonly blockEpochs?: number | undefined;
}

export interface RowStreamOptions extends PieceOptions {
  /** Default: stream. */
  readonly packing?: Packing | undefined;
  /**
   * Rows that are shuffled among themselves, fewer where the documents are over twice before; 1 keeps the documents'
   * order. A resume reads up to one block again. With best-fit, a block is of the documents that have as many pairs as so
   * many rows have slots.
   */
  readonly blockRows: number;
  readonly seed: number;
}

const START = { epoch: 0, pair: 0, row: 0, emitted: 0, skipped: 0, blockEpochs: BLOCK_EPOCHS };

/**
 * Documents packed into rows, shuffled block by block. Every document of n tokens gives its n - 1 pairs (input, label)
 * to consecutive slots, as far as `longDocuments` lets it; one without anything to learn is left out. A stream that
 * repeats runs on across the epochs, and each block has its own permutation. Every row has a label.
 */
export class RowStream {
  readonly #options: RowStreamOptions;
  readonly #pieces: PieceReader;
  #cursor: Cursor;
  #block: RowBlock;
  #order: Uint32Array = new Uint32Array(0);
  /** What the block's first row tells of documents left out. */
  #listed: readonly string[] | undefined;

  /** @param cursor of a stream over the same documents with the same options: continues with the row after it */
  constructor(
    documents: DocumentSource,
    encode: Encode,
    options: RowStreamOptions,
    cursor: Cursor = { ...START, place: documents.start },
  ) {
    this.#options = options;
    this.#block = new RowBlock(options.sequence);
    this.#cursor = { ...cursor };
    this.#pieces = new PieceReader(documents, encode, options, cursor);
  }

  /** The place after the last row handed out. */
  get cursor(): Cursor {
    return { ...this.#cursor };
  }

  /**
   * The next row, or undefined at the end of a stream that does not repeat. Await one call before the next.
   * @throws InputError when a document can't be read, when none has anything to learn, or when one shrank since the
   * cursor
   */
  async next(): Promise<Row | undefined> {
    if (this.#block.length === 0) await this.#fillBlock();
    const { row, emitted, skipped, blockEpochs } = this.#cursor;
    const length = this.#block.length;
    if (length === 0) return undefined;
    const next = this.#block.row(this.#order[emitted]!);
    if (emitted === 0 && this.#listed) next.skipped = this.#listed;
    if (emitted + 1 < length) {
      this.#cursor = { ...this.#cursor, emitted: emitted + 1 };
    } else {
      this.#block = new RowBlock(this.#options.sequence);
      this.#cursor = { ...this.#pieces.position, row: row + length, emitted: 0, skipped, blockEpochs };
    }
    return next;
  }

  async #fillBlock(): Promise<void> {
    const { packing = 'stream', sequence, blockRows, seed } = this.#options;
    const epochs = this.#cursor.blockEpochs ?? Number.POSITIVE_INFINITY;
    const block = await PACKINGS[packing](this.#pieces, sequence, { rows: blockRows, epochs });
    this.#order = permutation(block.length, seed, this.#cursor.row);
    this.#block = block;
    const { count, listed } = this.#pieces.takeSkipped();
    this.#listed = undefined;
    // A block's first row tells them; a stream that goes on inside of the block has told them already.
    if (count === 0 || this.#cursor.emitted > 0) return;
    this.#cursor = { ...this.#cursor, skipped: this.#cursor.skipped + count };
    this.#listed = listed;
  }
}

/** 25 MB, and what a resumed run may have to read again. */
const BLOCK_TOKENS = 2 ** 21;

/** Rows that are shuffled among themselves where nobody says how many. */
export const blockRowsOf = (sequence: number): number => Math.max(1, Math.floor(BLOCK_TOKENS / sequence));

/** Text is read as a stream; what starts with other documents has them whole. */
export async function packingOf(documents: DocumentSource): Promise<Packing> {
  for await (const item of documents.read()) {
    if (!(item instanceof BadDocument)) return isText(item.example) ? 'stream' : 'best-fit';
  }
  return 'stream';
}
