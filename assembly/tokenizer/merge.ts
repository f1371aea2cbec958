import { allocate } from './memory';
import { mergeLong } from './mergeLong';
import { NONE, pairRank, productOf } from './pairs';
import { rankPairs, splitSymbols } from './vocabulary';

/** From this many symbols on the heap beats looking through all pairs for each merge (measured; flat around it). */
const LONG: u32 = 48;

/** u32 by symbol of a short word: the rank of merging it with the next one. */
let ranks: usize = 0;

export function allocateMerging(): void {
  ranks = allocate(4 * (LONG + 8));
}

/**
 * The ids of the word [at, end) at `ids`, always the pair of the lowest rank merged first, the leftmost of equal ones;
 * returns how many they are. There has to be room for one id a byte, and 12 bytes of scratch behind it.
 */
export function mergeWord(at: usize, end: usize, ids: usize): u32 {
  const count = splitSymbols(at, end, ids);
  if (count >= LONG) return mergeLong(ids, count);
  rankPairs(at, ids, count, ranks);
  v128.store(ranks + 4 * usize(count), i32x4.splat(-1));
  return mergeShort(ids, count);
}

// @ts-ignore: decorator
@inline
function get(array: usize, index: u32): u32 {
  return load<u32>(array + 4 * index);
}

// @ts-ignore: decorator
@inline
function set(array: usize, index: u32, value: u32): void {
  store<u32>(array + 4 * index, value);
}

/** Bits of a rank that a search has left for the index of its symbol; there are fewer than LONG of them. */
const INDEX_BITS: u32 = 6;
/** From here on, a search has found no pair: no rank is as high. */
const NOTHING: u32 = NONE << INDEX_BITS;

function mergeShort(ids: usize, count: u32): u32 {
  while (true) {
    const found = lowestPair(count);
    if (found >= NOTHING) return count;
    const at = found & ((1 << INDEX_BITS) - 1);
    count--;
    drop(ids, at + 1, count);
    drop(ranks, at + 1, count);
    const product = productOf(found >> INDEX_BITS);
    set(ids, at, product);
    if (at > 0) set(ranks, at - 1, pairRank(get(ids, at - 1), product));
    set(ranks, at, at + 1 < count ? pairRank(product, get(ids, at + 1)) : NONE);
  }
}

/** The lowest rank, and in its low bits the first symbol that has it. Behind the ranks there are three of NONE. */
// @ts-ignore: decorator
@inline
function lowestPair(count: u32): u32 {
  let lowest = i32x4.splat(-1);
  let index = i32x4(0, 1, 2, 3);
  for (let i: u32 = 0; i < count; i += 4) {
    const keys = i32x4.shl(v128.load(ranks + 4 * usize(i)), INDEX_BITS);
    lowest = i32x4.min_u(lowest, v128.or(keys, index));
    index = i32x4.add(index, i32x4.splat(4));
  }
  lowest = i32x4.min_u(lowest, v128.shuffle<u32>(lowest, lowest, 2, 3, 0, 1));
  lowest = i32x4.min_u(lowest, v128.shuffle<u32>(lowest, lowest, 1, 0, 3, 2));
  return u32(i32x4.extract_lane(lowest, 0));
}

/** Moves what is behind an element to its place, up to `end` elements in all and up to three more. */
// @ts-ignore: decorator
@inline
function drop(array: usize, index: u32, end: u32): void {
  for (let i = usize(index); i < usize(end); i += 4) v128.store(array + 4 * i, v128.load(array + 4 * i, 4));
}
