import { closeSync, fsyncSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import type { MetricsRecord } from '../records.js';

/**
 * `metrics.jsonl`, one record a line, in the order of `append`: a record that is still being made holds back those
 * after it, so that the file does not depend on timing.
 */
export class Journal {
  readonly #file: number;
  #bytes: number;
  #tail: Promise<void> = Promise.resolve();

  /** @param bytes of the file that belong to the run; what a killed run wrote after them is cut off. */
  constructor(path: string, bytes: number) {
    this.#file = openSync(path, 'a');
    ftruncateSync(this.#file, bytes);
    this.#bytes = bytes;
  }

  append(record: MetricsRecord | Promise<MetricsRecord>): void {
    this.#tail = this.#tail.then(async () => {
      const line = Buffer.from(`${JSON.stringify(await record)}\n`);
      for (let done = 0; done < line.length; ) done += writeSync(this.#file, line, done);
      this.#bytes += line.length;
    });
    this.#tail.catch(() => {});
  }

  /** Resolves with the size of the file once everything appended is on disk. */
  async flushed(): Promise<number> {
    await this.#tail;
    fsyncSync(this.#file);
    return this.#bytes;
  }

  close(): void {
    closeSync(this.#file);
  }
}
