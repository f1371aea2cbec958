import { contentOf } from './content.js';
import { examplesOfJson } from './meetings.js';
import { Problem } from './problems.js';
import { type Cut, type Splitter, slicesOf } from './splitter.js';
import { type Reader, textItems } from './text.js';

/** A JSON array of objects, element by element: it is never in memory as a whole. */
export const readJson: Reader = ({ chunks, compression }, start, options) => {
  const content = contentOf(chunks, compression, start);
  const slices = slicesOf(content, new ElementSplitter(start.byteOffset > 0), start);
  return textItems(slices, start, (json) => examplesOfJson(json, options));
};

const code = (character: string): number => character.charCodeAt(0);
const [QUOTE, BACKSLASH, COMMA] = [code('"'), code('\\'), code(',')];
const [OPEN, CLOSE, OPEN_OBJECT, CLOSE_OBJECT] = [code('['), code(']'), code('{'), code('}')];

const isSpace = (byte: number): boolean => byte === 32 || byte === 10 || byte === 13 || byte === 9;

/** What comes next outside of elements. */
type Expected = 'array' | 'first' | 'element' | 'comma' | 'end';

const WORDS: Readonly<Record<Expected, string>> = {
  array: 'a JSON array of objects ([{...}, ...])',
  first: 'an element or ]',
  element: 'an element',
  comma: ', or ]',
  end: 'nothing after the array',
};

/** Finds elements by their brackets and quotes; whether they are JSON is for others to say. */
class ElementSplitter implements Splitter {
  #expected: Expected;
  #at = 0;
  /** Of the element that is being read: where it starts, brackets that are open, whether it is inside of quotes. */
  #begin = -1;
  #depth = 0;
  #isQuoted = false;

  /** @param inside whether the bytes start at an element */
  constructor(inside: boolean) {
    this.#expected = inside ? 'element' : 'array';
  }

  next(bytes: Buffer, isEnd: boolean): Cut | undefined {
    if (this.#begin < 0) this.#between(bytes);
    if (this.#begin >= 0) {
      const end = this.#endOf(bytes);
      if (end >= 0) return this.#cut(end);
    }
    if (isEnd && (this.#expected !== 'end' || this.#begin >= 0)) {
      throw broken(WORDS[this.#begin < 0 ? this.#expected : 'comma'], 'the end of the file', bytes.length);
    }
    return undefined;
  }

  #cut(end: number): Cut {
    const begin = this.#begin;
    this.#begin = -1;
    this.#at = 0;
    this.#expected = 'comma';
    return { begin, end, next: end };
  }

  /** Up to the first byte of the next element. */
  #between(bytes: Buffer): void {
    for (; this.#at < bytes.length; this.#at++) {
      const byte = bytes[this.#at]!;
      if (isSpace(byte)) continue;
      const then = this.#after(byte);
      if (then === 'begin') {
        this.#begin = this.#at;
        this.#depth = 0;
        this.#isQuoted = false;
        return;
      }
      if (then === undefined) throw broken(WORDS[this.#expected], `"${shown(byte)}"`, this.#at);
      this.#expected = then;
    }
  }

  /** What to expect after a byte between elements; undefined where it is wrong. */
  #after(byte: number): Expected | 'begin' | undefined {
    const expected = this.#expected;
    if (expected === 'array') return byte === OPEN ? 'first' : undefined;
    if (expected === 'end') return undefined;
    if (byte === CLOSE) return expected === 'element' ? undefined : 'end';
    if (expected === 'comma') return byte === COMMA ? 'element' : undefined;
    return byte === COMMA ? undefined : 'begin';
  }

  /** Behind the last byte of the element; -1 when it is not there yet. */
  #endOf(bytes: Buffer): number {
    for (; this.#at < bytes.length; this.#at++) {
      const byte = bytes[this.#at]!;
      if (this.#isQuoted) {
        if (byte === BACKSLASH) this.#at++;
        else this.#isQuoted = byte !== QUOTE;
      } else if (byte === QUOTE) this.#isQuoted = true;
      else if (byte === OPEN || byte === OPEN_OBJECT) this.#depth++;
      else if (this.#depth === 0) {
        if (byte === COMMA || byte === CLOSE || isSpace(byte)) return this.#at;
      } else if ((byte === CLOSE || byte === CLOSE_OBJECT) && --this.#depth === 0) return this.#at + 1;
    }
    return -1;
  }
}

const shown = (byte: number): string =>
  byte > 32 && byte < 127 ? String.fromCharCode(byte) : `0x${byte.toString(16)}`;

function broken(expected: string, found: string, offset: number): Problem {
  const remedy = found === 'the end of the file' ? 'is the file cut off?' : 'one object a line is .jsonl';
  return new Problem(`expected ${expected}, found ${found}; ${remedy}`, { endsFile: true, offset });
}
