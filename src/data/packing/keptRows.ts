import { statSync } from 'node:fs';
import { isRemote } from '../../hub/address.js';
import { localFiles } from '../documents/files.js';
import { parseData } from '../documents/sources.js';
import type { Cursor } from '../packing.js';
import type { Row } from './rows.js';

/** Rows one after the other, and the place after the last one that was handed out. */
export interface RowSource {
  readonly cursor: Cursor;
  next(): Promise<Row | undefined>;
}

/** What a thread keeps at most: 16 M tokens or so. */
const MOST_BYTES = 2 ** 28;
/** Token, label and position of a slot. */
const SLOT_BYTES = 12;

/** The rows of a stream from its start on, kept as they are read for the first time. */
class KeptRows {
  readonly #stream: RowSource;
  readonly #rows: { readonly row: Row | undefined; readonly cursor: Cursor }[] = [];
  readonly #start: Cursor;
  #bytes = 0;

  constructor(stream: RowSource) {
    this.#stream = stream;
    this.#start = stream.cursor;
  }

  get isTooLarge(): boolean {
    return this.#bytes > MOST_BYTES;
  }

  /** Rows from the start on: what is kept, then what the stream goes on with. One reader at a time. */
  read(): RowSource {
    let done = 0;
    let cursor = this.#start;
    return {
      get cursor() {
        return cursor;
      },
      next: async () => {
        const kept = this.#rows[done++] ?? (await this.#more());
        cursor = kept.cursor;
        return kept.row;
      },
    };
  }

  async #more(): Promise<{ readonly row: Row | undefined; readonly cursor: Cursor }> {
    const row = await this.#stream.next();
    const read = { row, cursor: this.#stream.cursor };
    this.#bytes += (row?.tokens.length ?? 0) * SLOT_BYTES;
    if (!this.isTooLarge) this.#rows.push(read);
    return read;
  }
}

let kept: { readonly key: string; readonly rows: KeptRows } | undefined;

/**
 * The rows of a stream from its start on; those of the same text in the same order, which one run after the other reads,
 * are read, encoded and packed once.
 * @param setting all that the rows depend on
 * @param paths of the text: files that have changed are other text
 */
export async function keptRows(
  setting: unknown,
  paths: readonly string[],
  open: () => Promise<RowSource>,
): Promise<RowSource> {
  const files = paths
    .map((path) => parseData(path).path)
    .filter((path) => !isRemote(path))
    .flatMap(localFiles)
    .map(({ bytes: { name } }) => [name, statSync(name).size, statSync(name).mtimeMs]);
  const key = JSON.stringify([setting, files]);
  if (kept?.key !== key || kept.rows.isTooLarge) kept = { key, rows: new KeptRows(await open()) };
  return kept.rows.read();
}
