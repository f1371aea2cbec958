/**
 * What each character is in the Hugging Face library, whatever this Node's Unicode version: 16 in its regular
 * expressions, 17 for digits, 9 for NFC and NFKC.
 */
import { CATEGORY_LETTERS, CATEGORY_NAMES, CATEGORY_RUNS, INERT, MORE_DIGITS, WORD } from './unicodeData.js';

const CODE_POINTS = 0x110000;

/** Classes of characters, as bits; assembly/tokenizer/classes.ts has the same. */
const [LETTER, NUMBER, SPACE, DIGIT] = [1, 2, 4, 8];

/** [start, end) in code points. */
type Range = readonly [start: number, end: number];

/** White space as Unicode has it: without U+FEFF, which JavaScript's \s has, and with U+0085, which it lacks. */
const WHITE_SPACE: readonly Range[] = [
  ...([
    [0x09, 0x0e],
    [0x20, 0x21],
    [0x85, 0x86],
    [0xa0, 0xa1],
    [0x1680, 0x1681],
    [0x2000, 0x200b],
  ] as const),
  ...([
    [0x2028, 0x202a],
    [0x202f, 0x2030],
    [0x205f, 0x2060],
    [0x3000, 0x3001],
  ] as const),
];

const categoryOf = new Map(CATEGORY_NAMES.split(' ').map((name, i) => [CATEGORY_LETTERS[i]!, name]));

/** The ranges of a general category, or of a group of them ("L"), in ascending order; none for any other name. */
export function categoryRanges(name: string): Range[] {
  const found: [number, number][] = [];
  let code = 0;
  for (const [, letter, length] of CATEGORY_RUNS.matchAll(/([^0-9a-z])([0-9a-z]*)/g)) {
    const end = code + (length === '' ? 1 : Number.parseInt(length!, 36));
    const category = categoryOf.get(letter!)!;
    if (category === name || category[0] === name) {
      const last = found.at(-1);
      if (last?.[1] === code) last[1] = end;
      else found.push([code, end]);
    }
    code = end;
  }
  return found;
}

function unpackRanges(packed: string): Range[] {
  let done = 0;
  return packed.split(' ').map((pair) => {
    const [gap, length = '1'] = pair.split(',');
    const start = done + Number.parseInt(gap!, 36);
    done = start + Number.parseInt(length, 36);
    return [start, done];
  });
}

/** `\s`, `\d` and `\w` of the library's regular expressions by their letter. */
export function escapedClass(letter: string): Range[] | undefined {
  if (letter === 's') return [...WHITE_SPACE];
  if (letter === 'd') return categoryRanges('Nd');
  return letter === 'w' ? regexWord() : undefined;
}

/** As in single_word, but without the two joiners and with the superscript digits and fractions of Latin-1. */
function regexWord(): Range[] {
  const ranges = unpackRanges(WORD).filter(([start]) => start !== 0x200c);
  ranges.push([0xb2, 0xb4], [0xb9, 0xba], [0xbc, 0xbf]);
  return ranges.sort(([a], [b]) => a - b);
}

/** All code points that are in none of the ranges, which are in ascending order. */
export function complement(ranges: readonly Range[]): Range[] {
  const starts = [0, ...ranges.map(([, end]) => end)];
  const ends = [...ranges.map(([start]) => start), CODE_POINTS];
  return starts.map((start, i): Range => [start, ends[i]!]).filter(([start, end]) => start < end);
}

/** Ranges as the inside of a character class of a regular expression with the flag u. */
export function classSource(ranges: readonly Range[]): string {
  const escaped = (code: number) => `\\u{${code.toString(16)}}`;
  return ranges.map(([start, end]) => `${escaped(start)}-${escaped(end - 1)}`).join('');
}

/** The characters that the Digits pre-tokenizer takes. */
export function digitRanges(): Range[] {
  return [...categoryRanges('N'), ...unpackRanges(MORE_DIGITS)];
}

/** White space as the inside of a class. */
export const WHITE_SPACE_SOURCE = classSource(WHITE_SPACE);

/** A class for one part of a word, as single_word means it. */
export const WORD_CLASS = `[${classSource(unpackRanges(WORD))}]`;

export function isWhiteSpace(code: number): boolean {
  return WHITE_SPACE.some(([start, end]) => start <= code && code < end);
}

/**
 * The classes in two stages: [0x1100] the block of each 256 code points, and [blocks x 256] the class of each of its
 * code points, bits as in assembly/tokenizer/classes.ts.
 */
export function characterClasses(): { blockOf: Uint16Array; classes: Uint8Array } {
  const all = new Uint8Array(CODE_POINTS);
  const mark = (ranges: readonly Range[], bit: number) => {
    for (const [start, end] of ranges) for (let code = start; code < end; code++) all[code]! |= bit;
  };
  mark(categoryRanges('L'), LETTER);
  mark(categoryRanges('N'), NUMBER);
  mark(WHITE_SPACE, SPACE);
  mark(digitRanges(), DIGIT);
  return inBlocks(all);
}

function inBlocks(all: Uint8Array): { blockOf: Uint16Array; classes: Uint8Array } {
  const known = new Map<string, number>();
  const blockOf = Uint16Array.from({ length: CODE_POINTS / 256 }, (_, i) => {
    const block = Buffer.from(all.buffer, 256 * i, 256).toString('latin1');
    if (!known.has(block)) known.set(block, known.size);
    return known.get(block)!;
  });
  return { blockOf, classes: new Uint8Array(Buffer.from([...known.keys()].join(''), 'latin1')) };
}

/** What a normalization may change; without the flag u this takes next to no time. */
const CHANGED = { NFC: /[^\0-\u02ff]/, NFKC: /[^\0-\u009f]/ };

let inertRuns: RegExp | undefined;

/**
 * NFC or NFKC of Unicode 9. Characters that came later are left as they are, and nothing composes or is reordered over
 * them; of all others, every version says the same.
 */
export function normalizeForm(text: string, form: 'NFC' | 'NFKC'): string {
  if (!CHANGED[form].test(text)) return text;
  // Nothing to do for a whole text is nothing to do for its parts.
  const normalized = text.normalize(form);
  if (normalized === text) return text;
  inertRuns ??= new RegExp(`([${classSource([...unpackRanges(INERT), ...categoryRanges('Cn')])}]+)`, 'u');
  if (!inertRuns.test(text)) return normalized;
  const parts = text.split(inertRuns);
  return parts.map((part, i) => (i % 2 === 0 ? part.normalize(form) : part)).join('');
}
