/**
 * Words that are tokens, whatever the merges make of them (`ignore_merges`). The merges of real vocabularies make nearly
 * every token of its own bytes, so only the others are looked for.
 */
import { allocate, release } from './memory';
import { mergeWord } from './merge';
import { addTokens, forgetTokens } from './tokens';

/** For tokens as `addTokens` has them: keeps those that merging does not make, from `end` on. */
export function keepUnmerged(bytes: usize, entries: usize, count: u32, end: usize): void {
  const ids = allocate(u64(4) * (entries - bytes));
  let at = bytes;
  let keptBytes = bytes;
  let kept: usize = 0;
  for (let i: usize = 0; i < usize(count); i++) {
    const entry = load<u64>(entries + 8 * i);
    const length = usize(u32(entry));
    if (mergeWord(at, at + length, ids) != 1 || load<u32>(ids) != u32(entry >> 32)) {
      memory.copy(keptBytes, at, length);
      keptBytes += length;
      store<u64>(entries + 8 * kept++, entry);
    }
    at += length;
  }
  forgetTokens();
  release(end);
  if (kept == 0) return;
  const start = allocate(keptBytes - bytes + 16);
  memory.copy(start, bytes, keptBytes - bytes);
  const list = allocate(8 * kept);
  memory.copy(list, entries, 8 * kept);
  addTokens(start, list, u32(kept));
}
