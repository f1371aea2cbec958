import { isDeepStrictEqual } from 'node:util';
import { InputError } from '../errors.js';
import { BadDocument, type Document, type DocumentSource, type Place } from './documents.js';
import { type Encode, encodedOrBad } from './encoding.js';
import type { Encoded } from './examples.js';
import { permutation } from './random.js';

/** The label of a slot that predicts nothing. */
export const NO_LABEL = -100;

/** A sequence of N slots, each of which reads one token and predicts the next one of the same document. */
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
  /** Ids of the documents in this row, in order. */
  documents: string[];
  /** What is wrong with documents that were skipped since the rows before it, the first of them: a line each. */
  skipped?: readonly string[];
}

/** Where a stream of rows stands; plain JSON of constant size. */
export interface Cursor {
  /** Passes over the documents completed where the current block of rows starts. */
  epoch: number;
  /** The document in which the block starts, or the start of all. */
  place: Place;
  /** Pairs (input, label) of that document which earlier blocks hold. */
  pair: number;
  /** Rows in all earlier blocks; numbers the block's permutation. */
  row: number;
  /** Rows of the block already handed out. */
  emitted: number;
  /** Documents skipped so far, as far as the rows handed out tell. */
  skipped: number;
}

export interface RowStreamOptions {
  /** N: slots of a row. */
  sequence: number;
  /** Rows that are shuffled among themselves; 1 keeps the documents' order. A resume reads up to one block again. */
  blockRows: number;
  seed: number;
  /** Start over after the last document, for ever; otherwise the stream ends, its last row padded. */
  repeat: boolean;
  /** What to do with a document that can't be encoded. Default: stop. */
  onBad?: 'stop' | 'skip';
}

const NOTHING: Encoded = { tokens: new Uint32Array(0) };

/** Skipped documents that a row lists; all are counted. */
const MOST_LISTED = 100;

/**
 * Documents packed into rows, shuffled block by block. Every document of n tokens gives its n - 1 pairs (input, label)
 * to consecutive slots; what does not fit continues in the next row, as a piece of its own. A stream that repeats has
 * no padding: its rows run on across the epochs, and each block has its own permutation.
 */
export class RowStream {
  readonly #options: RowStreamOptions;
  readonly #reader: RowReader;
  #cursor: Cursor;
  #block: Row[] = [];
  #order: Uint32Array = new Uint32Array(0);

  /** @param cursor of a stream over the same documents with the same options: continues with the row after it */
  constructor(
    documents: DocumentSource,
    encode: Encode,
    options: RowStreamOptions,
    cursor: Cursor = { epoch: 0, place: documents.start, pair: 0, row: 0, emitted: 0, skipped: 0 },
  ) {
    this.#options = options;
    this.#cursor = { ...cursor };
    this.#reader = new RowReader(documents, encode, options, cursor);
  }

  /** The place after the last row handed out. */
  get cursor(): Cursor {
    return { ...this.#cursor };
  }

  /**
   * The next row, or undefined at the end of a stream that does not repeat. Await one call before the next.
   * @throws InputError when a document can't be read, when none gives a pair, or when one shrank since the cursor
   */
  async next(): Promise<Row | undefined> {
    if (this.#block.length === 0) await this.#fillBlock();
    const { row, emitted, skipped } = this.#cursor;
    const length = this.#block.length;
    if (length === 0) return undefined;
    const next = this.#block[this.#order[emitted]!]!;
    if (emitted + 1 < length) {
      this.#cursor.emitted += 1;
    } else {
      this.#block = [];
      this.#cursor = { ...this.#reader.position, row: row + length, emitted: 0, skipped };
    }
    return next;
  }

  async #fillBlock(): Promise<void> {
    const { blockRows, seed } = this.#options;
    const block: Row[] = [];
    while (block.length < blockRows) {
      const row = await this.#reader.next();
      if (!row) break;
      block.push(row);
    }
    this.#order = permutation(block.length, seed, this.#cursor.row);
    this.#block = block;
    const { count, listed } = this.#reader.takeSkipped();
    // A block's first row tells them; a stream that goes on inside of the block has told them already.
    if (count === 0 || this.#cursor.emitted > 0) return;
    this.#cursor.skipped += count;
    if (block.length > 0) block[this.#order[0]!]!.skipped = listed;
  }
}

type Position = Pick<Cursor, 'epoch' | 'place' | 'pair'>;

/** The rows in the documents' order. */
class RowReader {
  /** After the last row read. */
  position: Position;
  readonly #source: DocumentSource;
  readonly #encode: Encode;
  readonly #options: RowStreamOptions;
  #documents: ReturnType<DocumentSource['read']>;
  #encoded: Encoded = NOTHING;
  #id = '';
  /** What the first document has to match when the reader starts inside one. */
  #resumed: { place: Place; pair: number } | undefined;
  /** Whether the epoch gave a pair, or began before this reader did. */
  #isFruitful: boolean;
  #skipped: { count: number; listed: string[] } = { count: 0, listed: [] };

  constructor(
    source: DocumentSource,
    encode: Encode,
    options: RowStreamOptions,
    { epoch, place, pair }: Position,
  ) {
    this.#source = source;
    this.#encode = encode;
    this.#options = options;
    this.position = { epoch, place, pair };
    this.#documents = source.read(place);
    const isResumed = !isDeepStrictEqual(place, source.start);
    this.#resumed = isResumed ? { place, pair } : undefined;
    this.#isFruitful = isResumed;
  }

  /** The documents skipped since the last call. */
  takeSkipped(): { readonly count: number; readonly listed: readonly string[] } {
    const skipped = this.#skipped;
    this.#skipped = { count: 0, listed: [] };
    return skipped;
  }

  async next(): Promise<Row | undefined> {
    const row = emptyRow(this.#options.sequence);
    let filled = 0;
    while (filled < row.tokens.length) {
      const count = this.#fill(row, filled);
      filled += count;
      if (count === 0 && !(await this.#openNext())) break;
    }
    return filled === 0 ? undefined : row;
  }

  /** Puts what is left of the current document into the row from slot `first` on, as far as it fits. */
  #fill(row: Row, first: number): number {
    const { pair } = this.position;
    const { tokens, learned } = this.#encoded;
    const left = Math.max(0, tokens.length - 1 - pair);
    const count = Math.min(row.tokens.length - first, left);
    if (count === 0) return 0;
    row.tokens.set(tokens.subarray(pair, pair + count), first);
    row.labels.set(tokens.subarray(pair + 1, pair + 1 + count), first);
    for (let i = 0; i < count; i++) {
      row.positions[first + i] = i;
      if (learned?.[pair + 1 + i] === 0) row.labels[first + i] = NO_LABEL;
    }
    row.documents.push(this.#id);
    this.position = { ...this.position, pair: pair + count };
    this.#isFruitful = true;
    return count;
  }

  /** Goes on to the next document, or to the next epoch; false at the end. */
  async #openNext(): Promise<boolean> {
    const { done, value } = await this.#documents.next();
    if (value instanceof BadDocument) return this.#skip(value);
    const document = done ? undefined : value;
    if (document) {
      const encoded = encodedOrBad(this.#encode, document);
      if (encoded instanceof BadDocument) {
        if (this.#options.onBad !== 'skip') throw encoded;
        // As those that can't be read, it is told in the first epoch.
        return this.position.epoch > 0 || this.#skip(encoded);
      }
      this.#id = document.id;
      this.#encoded = encoded;
    }
    const resumed = this.#resumed;
    if (resumed) this.#checkResumed(resumed, document);
    this.#resumed = undefined;
    if (done) return this.#options.repeat && this.#startEpoch(value);
    this.position = { ...this.position, place: value.place, pair: resumed?.pair ?? 0 };
    return true;
  }

  #skip({ message }: BadDocument): true {
    this.#skipped.count++;
    if (this.#skipped.listed.length < MOST_LISTED) this.#skipped.listed.push(message);
    return true;
  }

  #checkResumed({ place, pair }: { place: Place; pair: number }, document: Document | undefined): void {
    const isSame =
      document && isDeepStrictEqual(document.place, place) && pair < Math.max(1, this.#encoded.tokens.length);
    if (isSame) return;
    const expected = `the document of the checkpoint, with ${pair + 1} tokens or more, at ${JSON.stringify(place)}`;
    const found = document ? `${document.id} with ${this.#encoded.tokens.length} tokens` : 'no document';
    throw new InputError(`expected ${expected}, found ${found}; restore the data as it was`);
  }

  /** @param place where the next epoch starts */
  #startEpoch(place: Place): true {
    if (!this.#isFruitful) {
      throw new InputError('expected a document of two tokens or more, found none; give longer text');
    }
    this.position = { epoch: this.position.epoch + 1, place, pair: 0 };
    this.#encoded = NOTHING;
    this.#documents = this.#source.read(place);
    this.#isFruitful = false;
    return true;
  }
}

function emptyRow(sequence: number): Row {
  return {
    tokens: new Uint32Array(sequence),
    labels: new Int32Array(sequence).fill(NO_LABEL),
    positions: new Uint32Array(sequence),
    documents: [],
  };
}

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
    for (let i = 0; i < window.length; i++) {
      row.positions[i] = i;
      if (learned?.[first + i + 1] === 0) row.labels[i] = NO_LABEL;
    }
    if (row.labels.every((label) => label === NO_LABEL)) continue;
    row.documents.push(id);
    yield row;
  }
}

/** Tokens in a window or a row of windows; the rest is padding. A window's last token is never its first. */
export const lengthOf = ({ positions }: Row): number =>
  positions.findLastIndex((position) => position > 0) + 1;

/**
 * Puts a window behind those in a row, where positions that restart keep it apart from them.
 * @returns whether there was room for it
 */
export function appendWindow(row: Row, window: Row): boolean {
  const [at, count] = [lengthOf(row), lengthOf(window)];
  if (at + count > row.tokens.length) return false;
  row.tokens.set(window.tokens.subarray(0, count), at);
  row.labels.set(window.labels.subarray(0, count), at);
  row.positions.set(window.positions.subarray(0, count), at);
  row.documents = [...new Set([...row.documents, ...window.documents])];
  return true;
}
