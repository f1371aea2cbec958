import { allocate } from './memory';
import { mergeLong } from './mergeLong';
import { NONE, pairRank, productOf } from './pairs';
import { rankPairs, splitSymbols } from './vocabulary';

/** From this many symbols on the heap beats looking through all pairs for each merge (measured; flat around it). */
const LONG: u32 = 48;

/** u32 by symbol of a short word: the rank of merging it with the next one. */
let ranks: usize = 0;

export function allocateMerging(): void {
  ranks = allocate(4 * LONG);
}

/**
 * The ids of the word [at, end) at `ids`, always the pair of the lowest rank merged first, the leftmost of equal ones;
 * returns how many they are. There has to be room for one id a byte.
 */
export function mergeWord(at: usize, end: usize, ids: usize): u32 {
  const count = splitSymbols(at, end, ids);
  if (count >= LONG) return mergeLong(ids, count);
  rankPairs(at, ids, count, ranks);
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

function mergeShort(ids: usize, count: u32): u32 {
  while (true) {
    let lowest = NONE;
    let at: u32 = 0;
    for (let i: u32 = 0; i < count; i++) {
      const rank = get(ranks, i);
      if (rank < lowest) {
        lowest = rank;
        at = i;
      }
    }
    if (lowest == NONE) return count;
    count--;
    for (let i = at + 1; i < count; i++) {
      set(ids, i, get(ids, i + 1));
      set(ranks, i, get(ranks, i + 1));
    }
    const product = productOf(lowest);
    set(ids, at, product);
    if (at > 0) set(ranks, at - 1, pairRank(get(ids, at - 1), product));
    set(ranks, at, at + 1 < count ? pairRank(product, get(ids, at + 1)) : NONE);
  }
}
