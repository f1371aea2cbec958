import { isDeepStrictEqual } from 'node:util';
import { InputError } from '../../base/errors.js';
import { BadDocument, type Document, type DocumentSource, type Place } from '../documents.js';
import { type Encode, encodedOrBad } from '../encoding.js';
import type { Encoded } from '../examples.js';
import { type LongDocuments, longDocumentsOf, nothingToLearn, truncated } from './longDocuments.js';
import type { Piece } from './rows.js';

/** Where the next piece starts. */
export interface PieceCursor {
  /** Passes over the documents completed. */
  readonly epoch: number;
  /** The document that the piece is of, or the start of all. */
  readonly place: Place;
  /** Pairs (input, label) of that document before it. */
  readonly pair: number;
}

export interface PieceOptions {
  /** N: slots of a row. */
  readonly sequence: number;
  /** Default: text is split, other documents are truncated. */
  readonly longDocuments?: LongDocuments | undefined;
  /** Start over after the last document, for ever. */
  readonly repeat: boolean;
  /** What to do with a document that can't be encoded. Default: stop. */
  readonly onBad?: 'stop' | 'skip' | undefined;
  /** Called with the tokens of each document that was encoded. */
  readonly onDocument?: ((tokens: number) => void) | undefined;
}

const NOTHING: Encoded = { tokens: new Uint32Array(0) };

/** Documents left out that a row lists; all are counted. */
const MOST_LISTED = 100;

/** Takes the documents apart, in order: each of n tokens has n - 1 pairs (input, label) to give. */
export class PieceReader {
  readonly #source: DocumentSource;
  readonly #encode: Encode;
  readonly #options: PieceOptions;
  #position: PieceCursor;
  #documents: ReturnType<DocumentSource['read']>;
  #encoded: Encoded = NOTHING;
  #id = '';
  /** What the first document has to match when the reader starts inside one. */
  #resumed: { place: Place; pair: number } | undefined;
  /** Whether the epoch gave a pair, or began before this reader did. */
  #isFruitful: boolean;
  /** Why the last document without anything to learn was left out. */
  #leftOut: string | undefined;
  #skipped: { count: number; listed: string[] } = { count: 0, listed: [] };

  /** @param position of a reader of the same documents with the same options: continues there */
  constructor(source: DocumentSource, encode: Encode, options: PieceOptions, position: PieceCursor) {
    const { epoch, place, pair } = position;
    this.#source = source;
    this.#encode = encode;
    this.#options = options;
    this.#position = { epoch, place, pair };
    this.#documents = source.read(place);
    const isResumed = !isDeepStrictEqual(place, source.start);
    this.#resumed = isResumed ? { place, pair } : undefined;
    this.#isFruitful = isResumed;
  }

  get position(): PieceCursor {
    return this.#position;
  }

  /** Pairs that are left of the current document. */
  get left(): number {
    return Math.max(0, this.#encoded.tokens.length - 1 - this.#position.pair);
  }

  /**
   * Makes a document current that has pairs left, in this epoch or the next one; false at the end.
   * @throws InputError when a document can't be read, when none gives a pair, or when one shrank since the position
   */
  async more(): Promise<boolean> {
    while (this.left === 0) if (!(await this.#openNext())) return false;
    return true;
  }

  /** The next piece of the current document, of at most so many pairs. */
  take(most: number): Piece {
    const { pair } = this.#position;
    const end = pair + Math.min(most, this.left);
    const { tokens, learned } = this.#encoded;
    this.#position = { ...this.#position, pair: end };
    if (end - pair === tokens.length - 1) return { document: this.#id, tokens, learned };
    return {
      document: this.#id,
      tokens: tokens.subarray(pair, end + 1),
      learned: learned?.subarray(pair, end + 1),
    };
  }

  /** The documents left out since the last call. */
  takeSkipped(): { readonly count: number; readonly listed: readonly string[] } {
    const skipped = this.#skipped;
    this.#skipped = { count: 0, listed: [] };
    return skipped;
  }

  /** Goes on to the next document, or to the next epoch; false at the end. */
  async #openNext(): Promise<boolean> {
    const { done, value } = await this.#documents.next();
    if (value instanceof BadDocument) {
      this.#skip(value.message);
      return true;
    }
    const document = done ? undefined : value;
    const resumed = this.#resumed;
    // A document at which a reader went on before has been told of then.
    if (document) this.#open(document, document.pass === 0 && !resumed);
    if (resumed) this.#checkResumed(resumed, document);
    this.#resumed = undefined;
    if (done) return this.#options.repeat && this.#startEpoch(value);
    this.#position = { ...this.#position, place: value.place, pair: resumed?.pair ?? 0 };
    return true;
  }

  #open(document: Document, isNew: boolean): void {
    const { id, example } = document;
    const { sequence, longDocuments = longDocumentsOf(example), onBad = 'stop', onDocument } = this.#options;
    this.#id = id;
    const encoded = encodedOrBad(this.#encode, document);
    if (encoded instanceof BadDocument) {
      if (onBad === 'stop') throw encoded;
      this.#leaveOut(encoded.message, isNew);
      return;
    }
    onDocument?.(encoded.tokens.length);
    const most = longDocuments === 'truncate' ? sequence : encoded.tokens.length;
    const problem = nothingToLearn(encoded, most);
    if (problem) {
      this.#leaveOut(`${id}: ${problem}`, isNew);
      return;
    }
    this.#encoded = truncated(encoded, most);
    this.#isFruitful = true;
  }

  #leaveOut(message: string, isNew: boolean): void {
    this.#encoded = NOTHING;
    this.#leftOut = message;
    if (isNew) this.#skip(message);
  }

  #skip(message: string): void {
    this.#skipped.count++;
    if (this.#skipped.listed.length < MOST_LISTED) this.#skipped.listed.push(message);
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
      throw new InputError(
        `expected a document with something to learn, found none; ${this.#leftOut ?? 'give more text'}`,
      );
    }
    this.#position = { epoch: this.#position.epoch + 1, place, pair: 0 };
    this.#encoded = NOTHING;
    this.#documents = this.#source.read(place);
    this.#isFruitful = false;
    return true;
  }
}
