/** Where words end: one state machine for each known way to split a text. All read up to 16 bytes past the end. */
import { classAt, DIGIT, LETTER, NUMBER, SPACE } from './classes';
import { utf8Length } from './utf8';

/** The ways to split; src/data/tokenizer/preTokenizer.ts has the same numbers. */
export const WHOLE: u32 = 0;
/** A run of "▁" with what follows up to the next "▁". */
export const META_RUNS: u32 = 1;
/** Each "▁" with what follows up to the next "▁". */
export const METASPACE: u32 = 2;
/** 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+ */
export const GPT2: u32 = 3;
/** GPT2 on the text between digits, each of which stands alone; and the same with runs of digits. */
export const GPT2_DIGIT: u32 = 4;
export const GPT2_DIGITS: u32 = 5;
/**
 * (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|
 *  ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+ and, with \p{N}{1,3}, CL100K.
 */
export const QWEN2: u32 = 6;
export const CL100K: u32 = 7;

const QUOTE: u8 = 0x27;
const BLANK: u8 = 0x20;
const LF: u8 = 0x0a;
const CR: u8 = 0x0d;

/** "▁" in UTF-8, as the low three bytes of a little-endian load. */
const META: u32 = 0x8196e2;

/** The end of the word of valid UTF-8 that begins at `at` < `end`. */
// @ts-ignore: decorator
@inline
export function wordEnd(way: u32, at: usize, end: usize): usize {
  if (way == CL100K) return cl100kEnd(at, end, 3);
  if (way == QWEN2) return cl100kEnd(at, end, 1);
  if (way == GPT2) return gpt2End(at, end, LETTER | NUMBER | SPACE);
  if (way == METASPACE) return metaEnd(at + utf8Length(load<u8>(at)), end);
  if (way == META_RUNS) return metaEnd(metaRunEnd(at, end), end);
  if (way == GPT2_DIGIT || way == GPT2_DIGITS) return digitsEnd(at, end, way == GPT2_DIGITS);
  return end;
}

// @ts-ignore: decorator
@inline
function isMeta(at: usize): bool {
  return (load<u32>(at) & 0xffffff) == META;
}

function metaRunEnd(at: usize, end: usize): usize {
  while (at < end && isMeta(at)) at += 3;
  return at;
}

/** The next "▁", or the end. */
function metaEnd(at: usize, end: usize): usize {
  while (at < end) {
    const hits = i8x16.bitmask(i8x16.eq(v128.load(at), i8x16.splat(i8(0xe2))));
    if (hits == 0) {
      at += 16;
      continue;
    }
    at += ctz(hits);
    if (at >= end || isMeta(at)) break;
    at++;
  }
  return min(at, end);
}

function cl100kEnd(at: usize, end: usize, mostDigits: u32): usize {
  const first = load<u8>(at);
  if (first == QUOTE) {
    const stop = contractionEnd(at, end, true);
    if (stop != 0) return stop;
  }
  const next = at + utf8Length(first);
  const kind = classAt(at) & (LETTER | NUMBER | SPACE);
  if (kind == LETTER) return lettersEnd(next, end);
  if (kind == NUMBER) return numbersEnd(next, end, mostDigits - 1);
  const nextKind = next < end ? classAt(next) & (LETTER | NUMBER | SPACE) : SPACE;
  if (nextKind == LETTER && first != CR && first != LF) return lettersEnd(next, end);
  if (kind == 0 || (first == BLANK && nextKind == 0)) return newlinesEnd(othersEnd(next, end, LETTER | NUMBER | SPACE), end);
  return spacesEnd(at, end, true, 0);
}

/** Characters of the classes in `mask` end a run of others; DIGIT among them stands for the end of the text. */
function gpt2End(at: usize, end: usize, mask: u32): usize {
  const first = load<u8>(at);
  if (first == QUOTE) {
    const stop = contractionEnd(at, end, false);
    if (stop != 0) return stop;
  }
  let next = at + utf8Length(first);
  let kind = classAt(at) & mask;
  if (first == BLANK && next < end) {
    const nextKind = classAt(next) & mask;
    if ((nextKind & (SPACE | DIGIT)) == 0) {
      kind = nextKind;
      next += utf8Length(load<u8>(next));
    }
  }
  if (kind == LETTER) return lettersEnd(next, end);
  if (kind == NUMBER) return numbersEnd(next, end, u32.MAX_VALUE);
  if (kind == 0) return othersEnd(next, end, mask);
  return spacesEnd(at, end, false, mask & DIGIT);
}

function digitsEnd(at: usize, end: usize, runs: bool): usize {
  if ((classAt(at) & DIGIT) == 0) return gpt2End(at, end, LETTER | NUMBER | SPACE | DIGIT);
  do at += utf8Length(load<u8>(at));
  while (runs && at < end && (classAt(at) & DIGIT) != 0);
  return at;
}

/** The end of 's, 't, 're, 've, 'm, 'll or 'd at `at`, 0 where there is none. */
function contractionEnd(at: usize, end: usize, ignoreCase: bool): usize {
  if (at + 1 >= end) return 0;
  const fold: u8 = ignoreCase ? 0x20 : 0;
  const first = load<u8>(at, 1) | fold;
  if (first == 0x73 || first == 0x74 || first == 0x6d || first == 0x64) return at + 2;
  if (at + 2 >= end) return 0;
  // "ſ" is a lower case of S.
  if (ignoreCase && load<u16>(at, 1) == 0xbfc5) return at + 3;
  const second = load<u8>(at, 2) | fold;
  const long =
    second == 0x65 ? first == 0x72 || first == 0x76 : second == 0x6c && first == 0x6c;
  return long ? at + 3 : 0;
}

function lettersEnd(at: usize, end: usize): usize {
  while (at < end) {
    const folded = v128.or(v128.load(at), i8x16.splat(0x20));
    const others = i8x16.bitmask(i8x16.ge_u(i8x16.sub(folded, i8x16.splat(0x61)), i8x16.splat(26)));
    if (others == 0) {
      at += 16;
      continue;
    }
    at += ctz(others);
    if (at >= end || load<u8>(at) < 0x80) break;
    do {
      if ((classAt(at) & LETTER) == 0) return at;
      at += utf8Length(load<u8>(at));
    } while (at < end && load<u8>(at) >= 0x80);
  }
  return min(at, end);
}

function numbersEnd(at: usize, end: usize, most: u32): usize {
  for (let i: u32 = 0; i < most && at < end && (classAt(at) & NUMBER) != 0; i++) at += utf8Length(load<u8>(at));
  return at;
}

function othersEnd(at: usize, end: usize, mask: u32): usize {
  while (at < end && (classAt(at) & mask) == 0) at += utf8Length(load<u8>(at));
  return at;
}

function newlinesEnd(at: usize, end: usize): usize {
  while (at < end && (load<u8>(at) == CR || load<u8>(at) == LF)) at++;
  return at;
}

/**
 * White space beginning at `at`: with `newlines`, to behind its last CR or LF if it has one; else all of it before the
 * end of the text (or a character of the class `ending`); else all but its last character, at least one.
 */
function spacesEnd(at: usize, end: usize, newlines: bool, ending: u32): usize {
  let stop = at;
  let last = at;
  let newline: usize = 0;
  do {
    last = stop;
    const char = load<u8>(stop);
    stop += utf8Length(char);
    if (char == CR || char == LF) newline = stop;
  } while (stop < end && (classAt(stop) & SPACE) != 0);
  if (newlines && newline != 0) return newline;
  return stop == end || last == at || (classAt(stop) & ending) != 0 ? stop : last;
}
