/** The merges: which pairs of ids join, in which order, to what. */
import { allocate } from './memory';

/** No rank, no token: ids and ranks are below it. */
export const NONE: u32 = u32.MAX_VALUE;

/** Open addressing over pairs of ids, 16 bytes a slot: u64 left << 32 | right, plus 1 (0 is empty); u32 rank. */
let slots: usize = 0;
let slotMask: u32 = 0;
let slotShift: u64 = 0;

/** u32 by rank: the id that the pair becomes. */
let products: usize = 0;
let merges: u32 = 0;

export function allocatePairs(capacity: u32): void {
  const bits = 64 - clz<u64>(u64(capacity) + (capacity >> 1) + 1);
  slotMask = (1 << u32(bits)) - 1;
  slotShift = 64 - bits;
  slots = allocate(u64(16) << bits);
  products = allocate(u64(4) * capacity);
}

/** The next merge in rank order. A pair given twice keeps its last rank, as in the Hugging Face library. */
export function addMerge(left: u32, right: u32, product: u32): void {
  const slot = findPair(left, right);
  store<u64>(slot, pairKey(left, right));
  store<u32>(slot, merges, 8);
  store<u32>(products + 4 * merges, product);
  merges++;
}

// @ts-ignore: decorator
@inline
function pairKey(left: u32, right: u32): u64 {
  return ((u64(left) << 32) | u64(right)) + 1;
}

/** The slot that holds the pair, or the empty one where it would go. */
// @ts-ignore: decorator
@inline
function findPair(left: u32, right: u32): usize {
  const key = pairKey(left, right);
  let index = u32((key * 0x9e3779b97f4a7c15) >> slotShift);
  while (true) {
    const slot = slots + (usize(index) << 4);
    const found = load<u64>(slot);
    if (found == key || found == 0) return slot;
    index = (index + 1) & slotMask;
  }
}

/** The rank of merging two ids, NONE where they never merge. */
export function pairRank(left: u32, right: u32): u32 {
  const slot = findPair(left, right);
  return load<u64>(slot) == 0 ? NONE : load<u32>(slot, 8);
}

// @ts-ignore: decorator
@inline
export function productOf(rank: u32): u32 {
  return load<u32>(products + 4 * rank);
}
