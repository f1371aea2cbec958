import { open } from 'node:fs/promises';
import { InputError } from '../../base/errors.js';
import { systemCode } from '../../formats/json.js';
import type { Restart } from './position.js';

/** Bytes of a file's content; of a compressed one with the frame or member that they are from. */
export interface ContentChunk {
  readonly bytes: Buffer;
  readonly restart?: Restart | undefined;
}

/** A file's bytes in any order. */
export interface ByteFile {
  /** As the user knows it. */
  readonly name: string;
  /** Bytes, as found when it was located. */
  readonly size: number;
  /** What is read at once where it doesn't matter. */
  readonly chunkBytes: number;
  /**
   * Up to `length` bytes from `offset` on; fewer at the end of the file alone.
   * @throws InputError when the file can't be read, RunError when a server fails
   */
  read(offset: number, length: number): Promise<Buffer>;
}

const GROWTH_BYTES = 2 ** 12;

/** No file stays open between reads. */
export class LocalFile implements ByteFile {
  readonly chunkBytes = 2 ** 20;
  readonly name: string;
  readonly size: number;
  readonly #path: string;

  constructor(path: string, size: number, name = path) {
    this.name = name;
    this.size = size;
    this.#path = path;
  }

  async read(offset: number, length: number): Promise<Buffer> {
    try {
      const file = await open(this.#path);
      try {
        // A file may have grown, but not every small one is worth a large buffer.
        const most = Math.min(length, Math.max(this.size - offset, GROWTH_BYTES));
        const { buffer, bytesRead } = await file.read(Buffer.allocUnsafeSlow(most), 0, most, offset);
        return buffer.subarray(0, bytesRead);
      } finally {
        await file.close();
      }
    } catch (error) {
      throw new InputError(
        `${this.name}: expected a file to read, found ${systemCode(error)}; check the path and its permissions`,
      );
    }
  }
}

/** Reads a file in chunks, mostly forwards; the last two are kept, and where it was found to end. */
export class Chunks {
  readonly file: ByteFile;
  #end = Number.POSITIVE_INFINITY;
  #held: { readonly at: number; readonly bytes: Buffer }[] = [];

  constructor(file: ByteFile) {
    this.file = file;
  }

  /** Bytes from `offset` on: at least `length` of them, or all that are left; none at the end of the file. */
  async from(offset: number, length = 1): Promise<Buffer> {
    if (offset >= this.#end) return Buffer.alloc(0);
    const held = this.#held.find(({ at, bytes }) => offset >= at && offset < at + bytes.length);
    if (!held) return this.#load(offset, length);
    const here = held.bytes.subarray(offset - held.at);
    if (here.length >= length) return here;
    const rest = await this.#load(offset + here.length, length - here.length);
    return Buffer.concat([here, rest.subarray(0, length - here.length)]);
  }

  async #load(at: number, length: number): Promise<Buffer> {
    const held = this.#held.find((chunk) => chunk.at === at && chunk.bytes.length >= length);
    if (held) return held.bytes;
    const bytes = await this.file.read(at, Math.max(this.file.chunkBytes, length));
    if (bytes.length === 0) this.#end = at;
    else this.#held = [...this.#held.slice(-1), { at, bytes }];
    return bytes;
  }
}
