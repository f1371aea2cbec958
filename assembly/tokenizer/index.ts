/**
 * The heavy part of the tokenizer, on raw memory: normalizing, splitting into symbols, merging. One instance is one
 * vocabulary: `constant`s first, then `configure`, then the symbols, bytes and merges; after that any number of
 * texts: `startText`, `endText`, normalizer steps, `encode`.
 */
import { allocate, mark, release } from './memory';
import { allocateMerging } from './merge';
import { beginText, text, textBytes } from './normalize';
import { allocateVocabulary } from './vocabulary';
import { allocateWords, encodeWhole, encodeWords } from './words';

export { endText, prepend, replace, text, textBytes } from './normalize';
export { addMerge, setByte, setSymbol } from './vocabulary';

/** Where texts begin: everything before stays. */
let tablesEnd: usize = 0;

/** u32[]: the ids of the last `encode`, valid until the next `startText`. */
export let ids: usize = 0;

/** `bytes` of memory for a normalizer's string, kept for good. */
export function constant(bytes: usize): usize {
  return allocate(bytes);
}

/** Allocates the tables. `unknownId` is 0xffffffff where characters without a token are dropped. */
export function configure(merges: u32, unknownId: u32, fuseUnknown: bool): void {
  allocateVocabulary(merges, unknownId, fuseUnknown);
  allocateMerging();
  allocateWords();
  tablesEnd = mark();
}

/** Forgets the last text and makes room for one of up to `capacity` bytes of UTF-8, to be written at the result. */
export function startText(capacity: usize): usize {
  release(tablesEnd);
  return beginText(capacity);
}

/**
 * Writes the text's ids to `ids` and returns how many. `byWords` merges the words that begin at each run of "▁" on
 * their own: only right where no merge reaches over such a beginning. Otherwise the whole text is one word.
 */
export function encode(byWords: bool): u32 {
  ids = allocate(u64(4) * textBytes);
  const end = text + textBytes;
  const stop = byWords ? encodeWords(text, end, ids) : encodeWhole(text, end, ids);
  return u32(stop - ids) >> 2;
}
