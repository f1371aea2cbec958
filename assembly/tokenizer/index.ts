/**
 * The heavy part of the tokenizer, on raw memory: normalizing, splitting into words and symbols, merging. One instance
 * is one vocabulary: `constant`s first, then `configure`, then the classes, symbols, bytes, tokens and merges; after
 * that, behind `seal`, any number of texts: `startText`, `endText`, normalizer steps, `encode` or `encodeByLengths`.
 */
import { keepUnmerged } from './ignoreMerges';
import { allocate, mark, release } from './memory';
import { allocateMerging } from './merge';
import { beginText, text, textBytes } from './normalize';
import { allocatePairs } from './pairs';
import { allocateTinyWords, prepareTinyWords } from './tinyWords';
import { allocateVocabulary, setByteRanks } from './vocabulary';
import { allocateWords, encodePieces, encodeWords } from './words';

export { setClasses } from './classes';
export { endText, prepend, replace, text, textBytes } from './normalize';
export { addMerges } from './pairs';
export { addTokens } from './tokens';
export { setByte, setSymbol } from './vocabulary';

/** Where texts begin: everything before stays. */
let tablesEnd: usize = 0;

let isByteLevel: bool = false;

/** u32[]: the ids of the last text, valid until the next `startText`. */
export let ids: usize = 0;

/** `bytes` of memory, which `seal` or the next `startText` may take back. */
export function constant(bytes: usize): usize {
  return allocate(bytes);
}

/**
 * Allocates the tables. `byteLevel`: the symbols are bytes, not characters. `unknownId` is 0xffffffff where symbols
 * without a token are dropped.
 */
export function configure(merges: u32, byteLevel: bool, unknownId: u32, fuseUnknown: bool): void {
  allocateVocabulary(byteLevel, unknownId, fuseUnknown);
  allocatePairs(merges);
  allocateMerging();
  allocateWords();
  isByteLevel = byteLevel;
  if (byteLevel) allocateTinyWords();
}

/**
 * What was taken from `end` on is no longer needed: the tokens first, as `addTokens` had them. `tokens`: how many of
 * them are words that are taken as they are, whatever the merges make of them: all or none.
 */
export function seal(end: usize, bytes: usize, entries: usize, tokens: u32): void {
  if (isByteLevel) setByteRanks();
  keepUnmerged(bytes, entries, tokens, end);
  if (isByteLevel) prepareTinyWords();
  tablesEnd = mark();
}

/** Forgets the last text and makes room for one of up to `capacity` bytes of UTF-8, to be written at the result. */
export function startText(capacity: usize): usize {
  release(tablesEnd);
  return beginText(capacity);
}

/** Writes the text's ids to `ids` and returns how many. `way` is how the text is split into words (split.ts). */
export function encode(way: u32): u32 {
  ids = allocateIds();
  return u32(encodeWords(way, text, text + textBytes, ids) - ids) >> 2;
}

/** The same with the words given: `count` u32, their lengths in UTF-16 units, which add up to the text. */
export function encodeByLengths(lengths: usize, count: u32): u32 {
  ids = allocateIds();
  return u32(encodePieces(lengths, count, text, ids) - ids) >> 2;
}

/** At most one id a byte, and what `encodeWords` may write behind them. */
function allocateIds(): usize {
  return allocate(u64(4) * textBytes + 44);
}
