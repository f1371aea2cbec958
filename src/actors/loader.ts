import type { MessagePort } from 'node:worker_threads';
import * as Comlink from 'comlink';
import { openDocuments } from '../data/documents.js';
import { createEncode, type EncodingOptions } from '../data/encoding.js';
import { keptRows, type RowSource } from '../data/packing/keptRows.js';
import { emptyRow } from '../data/packing/rows.js';
import { blockRowsOf, type Cursor, type Row, RowStream, type RowStreamOptions } from '../data/packing.js';
import { sharedTokenizer } from '../data/tokenizer/shared.js';
import { type TrainingPart, trainingDocuments } from '../data/trainingDocuments.js';
import type { TextOptions } from '../evaluation/heldOut.js';
import type { BatchSource, MicroBatch } from '../messages.js';
import type { Part } from '../model/gradientTree.js';
import { named, offer, serve } from './actor.js';
import { teller } from './starting.js';

export interface LoaderSetup extends TrainingPart {
  readonly tokenizer: string;
  readonly text: TextOptions;
  readonly encoding: EncodingOptions;
  readonly sequence: number;
  readonly batch: number;
  readonly microBatch: number;
  /** The micro-batches of each batch that are wanted here; the rows of others are read over. */
  readonly own: Part;
  /** Default: `blockRowsOf`. */
  readonly shuffleRows: number | undefined;
  readonly packing: RowStreamOptions['packing'];
  readonly longDocuments: RowStreamOptions['longDocuments'];
  readonly seed: number;
  /** Start over after the last document, for ever; else the last micro-batch is filled up with empty rows. */
  readonly repeat: boolean;
  /** Steps already done, and the cursor after them. */
  readonly step: number;
  readonly cursor?: Cursor;
  /** Where batches are offered. */
  readonly port: MessagePort;
  /** Whether runs after this one in the thread may read the same rows. */
  readonly keepsRows: boolean;
  /** Told of the tokens read so far, until the first micro-batch is there. */
  readonly progress?: MessagePort;
}

/** Reads, tokenizes, packs and shuffles text; gives its own micro-batches of whole rows, one per pull. */
class Loader implements BatchSource {
  #setup!: LoaderSetup;
  #rows!: RowSource;
  #step = 1;
  /** Of the next micro-batch in its batch. */
  #index = 0;
  #first: Promise<MicroBatch | null> | undefined;
  #ahead: Promise<unknown> = Promise.resolve();

  /** Reads up to the first micro-batch, so that text that cannot be read fails the start. */
  async start(setup: LoaderSetup): Promise<void> {
    this.#setup = setup;
    this.#step = setup.step + 1;
    const {
      text,
      cursor,
      keepsRows,
      port,
      progress,
      step: _,
      batch: __,
      microBatch: ___,
      own: ____,
      ...others
    } = setup;
    const open = () => this.#open();
    this.#rows = keepsRows && !cursor ? await keptRows({ ...others, text }, text.paths, open) : await open();
    this.#first = this.#next();
    await this.#first;
    progress?.close();
    offer(this, port);
  }

  async #open(): Promise<RowStream> {
    const setup = this.#setup;
    const { sequence, packing, longDocuments, seed, repeat } = setup;
    const opened = await openDocuments({ ...setup.text, from: setup.cursor?.place });
    const documents = await trainingDocuments(opened, setup);
    const encode = createEncode(await sharedTokenizer(setup.tokenizer), setup.encoding);
    const { onBad } = setup.text;
    const blockRows = setup.shuffleRows ?? blockRowsOf(sequence);
    const tell = teller(setup.progress);
    let done = 0;
    const onDocument = (tokens: number) => {
      done += tokens;
      tell({ doing: 'reading text', done, unit: 'tokens' });
    };
    const options = { sequence, packing, longDocuments, blockRows, seed, repeat, onBad, onDocument };
    return new RowStream(documents, encode, options, setup.cursor);
  }

  /** Batches are on their way until the last pull has been answered. */
  async end(): Promise<void> {
    await this.#ahead;
    this.#setup.port.close();
  }

  /** Pulls are answered in order, one at a time. */
  pull(): Promise<MicroBatch | null> {
    const next = this.#ahead.then(() =>
      named(
        'loader',
        () => `step ${this.#step}`,
        () => this.#take(),
      ),
    );
    this.#ahead = next.catch(() => {});
    return next;
  }

  async #take(): Promise<MicroBatch | null> {
    const message = await (this.#first ?? this.#next());
    this.#first = undefined;
    if (!message) return null;
    const { tokens, labels, positions, place } = message;
    return Comlink.transfer(message, [tokens.buffer, labels.buffer, positions.buffer, place.buffer]);
  }

  async #next(): Promise<MicroBatch | null> {
    const start = performance.now();
    const { microBatch, sequence, batch, own } = this.#setup;
    const end = own.first + own.count;
    const before = await this.#readOver(own.first);
    const index = this.#index;
    const rows = await this.#readRows();
    if (rows.length === 0) return null;
    while (rows.length < microBatch) rows.push(emptyRow(sequence));
    // The cursor is that of the whole batch.
    const after = this.#index === end ? await this.#readOver(batch / microBatch) : [];
    const skipped = [...before, ...skippedFor(rows), ...after];
    const message = this.#assemble(rows, { index, skipped, start });
    if (!message.last) return message;
    this.#index = 0;
    this.#step++;
    return message;
  }

  /** Reads micro-batches that others learn from, up to number `end`. @returns what was left out of them */
  async #readOver(end: number): Promise<string[]> {
    const skipped: string[] = [];
    while (this.#index < end) {
      skipped.push(...skippedFor(await this.#readRows()));
    }
    return skipped;
  }

  /** The next micro-batch's rows, fewer at the end of the text. */
  async #readRows(): Promise<Row[]> {
    const rows: Row[] = [];
    for (let row = await this.#rows.next(); row; row = await this.#rows.next()) {
      if (rows.push(row) === this.#setup.microBatch) break;
    }
    this.#index++;
    return rows;
  }

  #assemble(
    rows: readonly Row[],
    { index, skipped, start }: { index: number; skipped: readonly string[]; start: number },
  ): MicroBatch {
    const { sequence, microBatch, own } = this.#setup;
    const size = microBatch * sequence;
    const [tokens, positions] = [new Uint32Array(size), new Uint32Array(size)];
    const labels = new Int32Array(size);
    rows.forEach((row, i) => {
      tokens.set(row.tokens, i * sequence);
      labels.set(row.labels, i * sequence);
      positions.set(row.positions, i * sequence);
    });
    const firstPlace = index * size;
    return {
      step: this.#step,
      index,
      last: index + 1 === own.first + own.count,
      tokens,
      labels,
      positions,
      filled: rows.map(({ filled }) => filled),
      place: Uint32Array.from({ length: size }, (_, i) => firstPlace + i),
      documents: [...new Set(rows.flatMap((row) => row.documents))],
      cursor: this.#rows.cursor,
      skipped: { total: this.#rows.cursor.skipped, listed: skipped },
      spent: { loaderMs: performance.now() - start, teacherMs: 0, teacherDataMs: 0, teacherTokens: 0 },
      signal: { kind: 'none' },
    };
  }
}

const skippedFor = (rows: readonly Row[]): string[] => rows.flatMap((row) => row.skipped ?? []);

serve(() => new Loader());
