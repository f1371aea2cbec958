import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readFileSync,
  writeSync,
} from 'node:fs';
import { RunError } from '../base/errors.js';
import { hashRanges, type RunningHash, startHash } from '../formats/hashes.js';
import type { HeldRecord } from '../messages.js';
import type { MetricsRecord } from '../records.js';

/** What is on the disk. */
export interface Written {
  readonly bytes: number;
  readonly hash: string;
}

/** The same where some may be still to come: what would follow it. */
interface Unflushed<T> extends Written {
  readonly held: readonly HeldRecord[] | undefined;
  /** What was asked for at the very moment. */
  readonly asked: T;
}

/**
 * `metrics.jsonl`, one record a line, in the order of `append`: a record that is still being made holds back those
 * after it, so that the file does not depend on timing. When the run is over they are written without it.
 */
export class Journal {
  readonly #file: number;
  readonly #hash: RunningHash;
  readonly #waiting: HeldRecord[] = [];
  /** Evaluations that are still being made, by step. */
  readonly #expected = new Map<number, Promise<readonly MetricsRecord[]>>();
  #bytes: number;
  #tail: Promise<void> = Promise.resolve();
  #closed = false;
  /** The disk failed amid a line: nothing may follow it. */
  #broken = false;

  private constructor(file: number, hash: RunningHash, bytes: number) {
    this.#file = file;
    this.#hash = hash;
    this.#bytes = bytes;
  }

  /**
   * @param bytes of the file that belong to the run; what a killed run wrote after them is cut off.
   * @throws RunError when there are fewer: a file never grows by what nobody wrote
   */
  static async open(path: string, bytes: number): Promise<Journal> {
    const { O_APPEND, O_CREAT, O_RDWR, O_NOFOLLOW = 0 } = constants;
    const hash = await startHash();
    const file = openSync(path, O_APPEND | O_CREAT | O_RDWR | O_NOFOLLOW);
    const { size } = fstatSync(file);
    if (size < bytes) {
      closeSync(file);
      throw new RunError(`${path}: expected at least ${bytes} bytes, found ${size}; restore the file`);
    }
    ftruncateSync(file, bytes);
    if (bytes > 0) await hashRanges(hash, path, [[0, bytes]]);
    return new Journal(file, hash, bytes);
  }

  append(record: MetricsRecord): void {
    void this.#add(record, [record]);
  }

  /**
   * Keeps the place of the evaluation of `step`, which is still being made.
   * @param onWritten told of its records at the moment from which on they are in the file
   * @returns resolves after that; rejects when it fails
   */
  expect<R extends MetricsRecord>(
    step: number,
    records: Promise<readonly R[]>,
    onWritten: (records: readonly R[]) => void = () => {},
  ): Promise<void> {
    this.#expected.set(step, records);
    records.then(
      () => this.#expected.delete(step),
      () => {},
    );
    return this.#add({ evaluation: step }, records, onWritten);
  }

  #add<R extends MetricsRecord>(
    waiting: HeldRecord,
    records: readonly R[] | Promise<readonly R[]>,
    onWritten: (records: readonly R[]) => void = () => {},
  ): Promise<void> {
    this.#waiting.push(waiting);
    this.#tail = this.#tail.then(async () => {
      const made = await records;
      if (this.#closed) return;
      void this.#waiting.shift();
      this.#write(made.map((record) => `${JSON.stringify(record)}\n`).join(''));
      onWritten(made);
    });
    this.#tail.catch(() => {});
    return this.#tail;
  }

  /** Resolves with what the file holds once everything appended is on disk. */
  async flushed(): Promise<Written> {
    await this.#tail;
    return this.#synced();
  }

  /**
   * The same; but after a stop what the file holds then, and what would follow it.
   * @param saved steps whose evaluations can be made later: those of other steps are waited for in any case
   * @param ask called when that is so, before anything else is written
   */
  async flushedOr<T>(
    stopped: Promise<void>,
    saved: readonly (number | undefined)[],
    ask: () => T,
  ): Promise<Unflushed<T>> {
    // Asked once, and not again when the rest comes after a stop.
    const flushed = this.#tail.then(() => true);
    const isWhole = await Promise.race([flushed, stopped.then(() => false)]);
    if (isWhole) return { ...this.#synced(), held: undefined, asked: ask() };
    flushed.catch(() => {});
    await Promise.all([...this.#expected].map(([step, record]) => !saved.includes(step) && record));
    return { ...this.#synced(), held: [...this.#waiting], asked: ask() };
  }

  #synced(): Written {
    fsyncSync(this.#file);
    return { bytes: this.#bytes, hash: this.#hash.digest() };
  }

  /** Writes what a record that never came held back. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const record of this.#waiting) {
      if (this.#broken) break;
      if (!('evaluation' in record)) this.#write(`${JSON.stringify(record)}\n`);
    }
    closeSync(this.#file);
  }

  #write(text: string): void {
    const line = Buffer.from(text);
    this.#broken = true;
    for (let done = 0; done < line.length; ) done += writeSync(this.#file, line, done);
    this.#broken = false;
    this.#hash.update(line);
    this.#bytes += line.length;
  }
}

/** The whole records of a metrics file, in order; a last one that is cut off is left out. */
export function* readRecords(path: string): Generator<MetricsRecord> {
  const lines = readFileSync(path, 'utf8').split('\n');
  for (const line of lines.slice(0, -1)) yield JSON.parse(line) as MetricsRecord;
}
