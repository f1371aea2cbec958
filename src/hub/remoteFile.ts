import type { Hash } from 'node:crypto';
import { RunError } from '../base/errors.js';
import type { HubClient } from './client.js';
import { HashMismatch, hasherFor, type RemoteFile } from './download.js';
import { explained, type Wanted } from './explained.js';
import { type Delay, DroppedError, retrying } from './retry.js';

const CHUNK_BYTES = 2 ** 22;

/**
 * A file of a repository, read where it is, in ranges: a connection that breaks is taken up again. While it is read
 * forwards, one range is fetched ahead. Its hash is checked when all of it has been read from start to end; readers that
 * leave parts out have its size checked alone.
 */
export class RemoteBytes {
  readonly chunkBytes = CHUNK_BYTES;
  readonly name: string;
  readonly size: number;
  readonly #wanted: Wanted;
  readonly #commit: string;
  readonly #file: RemoteFile;
  readonly #client: HubClient;
  readonly #delay: Delay;
  #ahead: { offset: number; length: number; bytes: Promise<Buffer> } | undefined;
  #end = -1;
  #hash: { digest: Hash; end: number } | undefined;
  #isChecked = false;

  constructor(
    name: string,
    file: RemoteFile,
    source: { wanted: Wanted; commit: string; client: HubClient; delay: Delay },
  ) {
    this.name = name;
    this.size = file.size;
    this.#file = file;
    this.#wanted = source.wanted;
    this.#commit = source.commit;
    this.#client = source.client;
    this.#delay = source.delay;
  }

  /** @throws InputError without access, RunError when the server fails for good or has another content */
  async read(offset: number, length: number): Promise<Buffer> {
    const ahead = this.#ahead;
    this.#ahead = undefined;
    const isAhead = ahead?.offset === offset && ahead.length === length;
    const bytes = await (isAhead ? ahead.bytes : this.#fetch(offset, length));
    const isForwards = offset === this.#end;
    this.#end = offset + bytes.length;
    this.#check(offset, bytes);
    if (isForwards && this.#end < this.size) {
      const next = this.#fetch(this.#end, length);
      next.catch(() => {});
      this.#ahead = { offset: this.#end, length, bytes: next };
    }
    return bytes;
  }

  async #fetch(offset: number, length: number): Promise<Buffer> {
    const end = Math.min(offset + length, this.size);
    const parts: Buffer[] = [];
    let have = 0;
    const attempt = async () => {
      for await (const part of await this.#request(offset + have, end)) {
        const wanted = Buffer.from(part.buffer, part.byteOffset, Math.min(part.length, end - offset - have));
        parts.push(wanted);
        have += wanted.length;
        if (have === end - offset) return;
      }
      throw new DroppedError(`the answer ended after ${have} of ${end - offset} bytes`);
    };
    try {
      if (offset < end) await retrying(attempt, this.#delay, () => have);
      return Buffer.concat(parts);
    } catch (error) {
      throw explained(error, this.#wanted, this.#file.path);
    }
  }

  async #request(start: number, end: number): Promise<AsyncIterable<Uint8Array>> {
    const range = { range: `bytes=${start}-${end - 1}` };
    const response = await this.#client.request(this.#wanted, this.#commit, this.#file.path, range);
    if (response.status !== 206 && start > 0) {
      await response.body?.cancel();
      throw new RunError(
        `${this.name}: expected an answer with bytes ${start} to ${end}, found HTTP ${response.status}; ` +
          'the server sends files only as a whole: download it first',
      );
    }
    const [, total] = /^bytes \d+-\d+\/(\d+)$/.exec(response.headers.get('content-range') ?? '') ?? [];
    if (total !== undefined && Number(total) !== this.size) {
      await response.body?.cancel();
      throw new HashMismatch(`${total} bytes instead of ${this.size}`);
    }
    return response.body as unknown as AsyncIterable<Uint8Array>;
  }

  #check(offset: number, bytes: Buffer): void {
    if (this.#isChecked) return;
    if (offset === 0) this.#hash = { digest: hasherFor(this.#file), end: 0 };
    if (this.#hash?.end !== offset) return;
    this.#hash.digest.update(bytes);
    this.#hash.end += bytes.length;
    if (this.#hash.end < this.size) return;
    if (this.#hash.digest.digest('hex') !== this.#file.hash) {
      const mismatch = new HashMismatch(`another content than ${this.#file.hash}`);
      throw explained(mismatch, this.#wanted, this.#file.path);
    }
    this.#isChecked = true;
  }
}
