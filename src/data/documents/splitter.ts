import { constants } from 'node:buffer';
import type { ContentChunk } from './bytes.js';
import { FILE_START, type Position, type Restart } from './position.js';
import { Problem } from './problems.js';

/** A part of the pending bytes: [begin, end) is the slice, `next` is where the bytes after it start. */
export interface Cut {
  readonly begin: number;
  readonly end: number;
  readonly next: number;
}

/** Finds slices (lines, records, elements) in bytes that arrive bit by bit. */
export interface Splitter {
  /**
   * The first slice in `bytes`, which are all that no earlier slice took; undefined when it takes more bytes to tell.
   * Then the next call has the same bytes and more, and goes on where this one stopped: any slice takes linear time.
   * @param isEnd no more bytes will come
   * @throws Problem with `endsFile` when the bytes can't be split any further
   */
  next(bytes: Buffer, isEnd: boolean): Cut | undefined;
}

/** The bytes of one document, valid until the next slice is asked for. */
export interface Slice {
  readonly bytes: Buffer;
  readonly at: Omit<Position, 'index'>;
}

const BYTE_ORDER_MARK = Buffer.from('\ufeff');

/**
 * Splits content into slices; a byte order mark at its start is left out.
 * @throws LocatedProblem
 */
export async function* slicesOf(
  content: AsyncIterable<ContentChunk>,
  splitter: Splitter,
  start: Position = FILE_START,
): AsyncGenerator<Slice> {
  const pending = new Pending(start);
  try {
    for await (const chunk of content) {
      pending.append(chunk);
      yield* pending.take(splitter, false);
    }
    yield* pending.take(splitter, true);
  } catch (error) {
    throw error instanceof Problem ? new LocatedProblem(error, pending.place(error.offset)) : error;
  }
}

/** A problem and the place in the content where it is. */
export class LocatedProblem extends Problem {
  readonly line: number;
  readonly byteOffset: number;

  constructor(problem: Problem, { line, byteOffset }: Pick<Position, 'line' | 'byteOffset'>) {
    super(problem.message, problem);
    this.line = line;
    this.byteOffset = byteOffset;
  }
}

/** The bytes that no slice has taken yet, and where they are. */
class Pending {
  #bytes: Buffer = Buffer.alloc(0);
  /** Where the free part of the storage of `#bytes` starts, if that is ours. */
  #room: Buffer = Buffer.alloc(0);
  #byteOffset: number;
  #line: number;
  /** Frames that the bytes are from, in order. */
  readonly #frames: Restart[] = [];
  #atStart: boolean;

  constructor({ byteOffset, line }: Position) {
    this.#byteOffset = byteOffset;
    this.#line = line;
    this.#atStart = byteOffset === 0;
  }

  /** Amortised: a slice of any length is copied at most twice. */
  append({ bytes, restart }: ContentChunk): void {
    if (restart && restart.at !== this.#frames.at(-1)?.at) this.#frames.push(restart);
    const { length } = this.#bytes;
    if (length === 0) {
      this.#bytes = bytes;
      this.#room = bytes.subarray(bytes.length);
      return;
    }
    if (bytes.length > this.#room.length) {
      const storage = Buffer.allocUnsafeSlow(2 * length + bytes.length);
      this.#bytes.copy(storage);
      this.#bytes = storage.subarray(0, length);
      this.#room = storage.subarray(length);
    }
    bytes.copy(this.#room);
    this.#bytes = Buffer.from(this.#bytes.buffer, this.#bytes.byteOffset, length + bytes.length);
    this.#room = this.#room.subarray(bytes.length);
  }

  *take(splitter: Splitter, isEnd: boolean): Generator<Slice> {
    if (this.#atStart && !isEnd && this.#bytes.length < BYTE_ORDER_MARK.length) return;
    if (this.#atStart && this.#bytes.subarray(0, 3).equals(BYTE_ORDER_MARK)) this.#advance(3);
    this.#atStart = false;
    for (let cut = splitter.next(this.#bytes, isEnd); cut; cut = splitter.next(this.#bytes, isEnd)) {
      const bytes = this.#bytes.subarray(cut.begin, cut.end);
      checkLength(bytes.length);
      this.#advance(cut.begin);
      yield { bytes, at: this.#at() };
      this.#advance(cut.next - cut.begin);
    }
    checkLength(this.#bytes.length);
  }

  /** Of a byte that many after the first one. */
  place(offset: number): Pick<Position, 'line' | 'byteOffset'> {
    const line = this.#line + countNewlines(this.#bytes.subarray(0, offset));
    return { line, byteOffset: this.#byteOffset + offset };
  }

  #at(): Slice['at'] {
    while (this.#frames.length > 1 && this.#frames[1]!.before <= this.#byteOffset) this.#frames.shift();
    const [restart] = this.#frames;
    return { byteOffset: this.#byteOffset, line: this.#line, ...(restart && { restart }) };
  }

  #advance(count: number): void {
    this.#line += countNewlines(this.#bytes.subarray(0, count));
    this.#byteOffset += count;
    this.#bytes = this.#bytes.subarray(count);
  }
}

function checkLength(length: number): void {
  if (length <= constants.MAX_STRING_LENGTH) return;
  throw new Problem(
    `expected documents of up to ${constants.MAX_STRING_LENGTH} bytes, found a longer one; split it`,
    { endsFile: true },
  );
}

export function countNewlines(bytes: Buffer): number {
  let count = 0;
  for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, at + 1)) count++;
  return count;
}

/** Where a text is found next in bytes that arrive bit by bit. */
class Search {
  readonly length: number;
  readonly #wanted: Buffer;
  #searched = 0;
  /** -1: not yet. */
  #found = -1;

  constructor(wanted: string) {
    this.#wanted = Buffer.from(wanted);
    this.length = this.#wanted.length;
  }

  /** Of the first one in `bytes`; -1 when there is none. */
  next(bytes: Buffer): number {
    if (this.#found < 0) {
      this.#found = bytes.indexOf(this.#wanted, this.#searched);
      // The last bytes may be the first ones of it.
      if (this.#found < 0) this.#searched = Math.max(0, bytes.length - this.length + 1);
    }
    return this.#found;
  }

  /** The next call has the bytes after so many. */
  advance(count: number): void {
    this.#searched = Math.max(0, this.#searched - count);
    this.#found = Math.max(-1, this.#found - count);
  }
}

/** Slices between separators of any form, the last one included when it is not empty; without a form all of it is one. */
export class SeparatorSplitter implements Splitter {
  readonly #searches: readonly Search[];

  constructor(forms: Iterable<string>) {
    this.#searches = Array.from(forms, (form) => new Search(form));
  }

  next(bytes: Buffer, isEnd: boolean): Cut | undefined {
    let end = bytes.length;
    let next = -1;
    for (const search of this.#searches) {
      const found = search.next(bytes);
      if (found < 0 || found >= end) continue;
      end = found;
      next = found + search.length;
    }
    if (next < 0) return isEnd && end > 0 ? { begin: 0, end, next: end } : undefined;
    for (const search of this.#searches) search.advance(next);
    return { begin: 0, end, next };
  }
}
