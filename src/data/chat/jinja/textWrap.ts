import { TemplateError } from './errors.js';
import { spendOnCharacters } from './limits.js';
import { requireIndex, requireText } from './numbers.js';
import { splitLines } from './strings.js';
import { lengthOf, sliceOf } from './unicode.js';
import { isTrue, type Value } from './values.js';

/** Python's textwrap, as the filter wordwrap uses it: tabs and white space as they are. */

const BLANK = '\\t\\n\\x0b\\f\\r ';
const WORD = '[\\p{L}\\p{N}_!"\'&.,?]';
const LETTER = '[\\p{L}_]';
/** textwrap.TextWrapper.wordsep_re */
const WORDS = new RegExp(
  `([${BLANK}]+|(?<=${WORD})-{2,}(?=[\\p{L}\\p{N}_])|[^${BLANK}]+?(?:` +
    `-(?:(?<=${LETTER}{2}-)|(?<=${LETTER}-${LETTER}-))(?=${LETTER}-?${LETTER})|(?=[${BLANK}]|$)` +
    `|(?<=${WORD})(?=-{2,}[\\p{L}\\p{N}_])))`,
  'u',
);
const SPACES = new RegExp(`([${BLANK}]+)`);

export function wrapped(
  value: Value,
  width: Value = 79n,
  breakLong: Value = true,
  wrapString: Value | undefined = '\n',
  breakHyphens: Value = true,
): Value {
  const between = wrapString === null ? '\n' : requireText(wrapString);
  const columns = requireIndex(width);
  spendOnCharacters(requireText(value, 'the value of wordwrap'));
  const lines = splitLines(requireText(value, 'the value of wordwrap')).map((line) => {
    if (columns <= 0) throw new TemplateError(`invalid width ${columns} (must be > 0)`);
    const chunks = line.split(isTrue(breakHyphens) ? WORDS : SPACES).filter((chunk) => chunk);
    return new Wrapper(columns, isTrue(breakLong), isTrue(breakHyphens)).wrap(chunks).join(between);
  });
  return lines.join(between);
}

const isBlank = (chunk: string): boolean => chunk.trim() === '';

class Wrapper {
  readonly #width: number;
  readonly #breaksLong: boolean;
  readonly #breaksHyphens: boolean;

  constructor(width: number, breaksLong: boolean, breaksHyphens: boolean) {
    [this.#width, this.#breaksLong, this.#breaksHyphens] = [width, breaksLong, breaksHyphens];
  }

  wrap(all: readonly string[]): string[] {
    const chunks = [...all].reverse();
    const lines: string[] = [];
    while (chunks.length > 0) {
      if (isBlank(chunks.at(-1)!) && lines.length > 0) chunks.pop();
      const line = this.#line(chunks);
      if (line.length > 0 && isBlank(line.at(-1)!)) line.pop();
      if (line.length > 0) lines.push(line.join(''));
    }
    return lines;
  }

  #line(chunks: string[]): string[] {
    const line: string[] = [];
    let length = 0;
    while (chunks.length > 0 && length + lengthOf(chunks.at(-1)!) <= this.#width) {
      length += lengthOf(chunks.at(-1)!);
      line.push(chunks.pop()!);
    }
    if (chunks.length > 0 && lengthOf(chunks.at(-1)!) > this.#width) this.#long(chunks, line, length);
    return line;
  }

  /** A chunk that fits on no line. */
  #long(chunks: string[], line: string[], length: number): void {
    if (!this.#breaksLong) {
      if (line.length === 0) line.push(chunks.pop()!);
      return;
    }
    const chunk = chunks.pop()!;
    spendOnCharacters(chunk);
    const room = this.#width - length;
    let end = room;
    if (this.#breaksHyphens && lengthOf(chunk) > room) {
      const hyphen = sliceOf(chunk, 0, room).lastIndexOf('-');
      if (hyphen > 0 && /[^-]/.test(chunk.slice(0, hyphen))) end = lengthOf(chunk.slice(0, hyphen + 1));
    }
    line.push(sliceOf(chunk, 0, end));
    chunks.push(sliceOf(chunk, end, Infinity));
  }
}
