import { open } from 'node:fs/promises';
import { InputError } from '../../errors.js';
import { systemCode } from '../../formats/json.js';

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
        const { buffer, bytesRead } = await file.read(Buffer.allocUnsafeSlow(length), 0, length, offset);
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

/** Reads a file in chunks, mostly forwards; the last chunk is kept. */
export class Chunks {
  readonly file: ByteFile;
  #chunk: Buffer = Buffer.alloc(0);
  #at = 0;

  constructor(file: ByteFile) {
    this.file = file;
  }

  /**
   * All bytes of a chunk from `offset` on: at least `length` of them, fewer where the file ends before that; empty at
   * its end.
   */
  async from(offset: number, length = 1): Promise<Buffer> {
    const start = offset - this.#at;
    const isHere = start >= 0 && start < this.#chunk.length;
    const here = isHere ? this.#chunk.subarray(start) : this.#chunk.subarray(0, 0);
    if (here.length >= length) return here;
    const rest = await this.file.read(
      offset + here.length,
      Math.max(this.file.chunkBytes, length - here.length),
    );
    this.#chunk = here.length === 0 ? rest : Buffer.concat([here, rest]);
    this.#at = offset;
    return this.#chunk;
  }
}
