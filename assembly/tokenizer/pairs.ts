/** The merges: which pairs of ids join, in which order, to what. */
import { allocate } from './memory';
import { tokenId } from './tokens';

/** No rank, no token: ids and ranks are below it. */
export const NONE: u32 = u32.MAX_VALUE;

/** Open addressing over pairs of ids, 16 bytes a slot: u64 left << 32 | right, plus 1 (0 is empty); u32 rank. */
let slots: usize = 0;
let slotMask: u32 = 0;
let slotShift: u64 = 0;

/** A bit for each hash that occurs, 8 a slot: most pairs never merge, and this stays in the cache. */
let seen: usize = 0;

/** u32 by rank: the id that the pair becomes. */
let products: usize = 0;

export function allocatePairs(capacity: u32): void {
  const bits = 64 - clz<u64>(u64(capacity) + (capacity >> 1) + 1);
  slotMask = (1 << u32(bits)) - 1;
  slotShift = 64 - bits;
  slots = allocate(u64(16) << bits);
  seen = allocate(u64(1) << bits);
  products = allocate(u64(4) * capacity);
}

/**
 * `count` merges in rank order: the bytes of both parts, one merge after the other, at `at`; u32 pairs of their lengths
 * at `lengths`. Writes u32 pairs of the parts' ids to `ids`. Returns how many were added: all, or those before the
 * first one whose parts or product are no tokens.
 */
export function addMerges(at: usize, lengths: usize, count: u32, ids: usize): u32 {
  for (let rank: u32 = 0; rank < count; rank++) {
    const leftBytes = usize(load<u32>(lengths + 8 * usize(rank)));
    const bytes = leftBytes + usize(load<u32>(lengths + 8 * usize(rank), 4));
    const left = tokenId(at, leftBytes);
    const right = tokenId(at + leftBytes, bytes - leftBytes);
    const product = tokenId(at, bytes);
    if (left == NONE || right == NONE || product == NONE) return rank;
    store<u32>(ids + 8 * usize(rank), left);
    store<u32>(ids + 8 * usize(rank), right, 4);
    store<u32>(products + 4 * usize(rank), product);
    setRank(left, right, rank);
    at += bytes;
  }
  return count;
}

/** A pair given twice keeps its last rank, as in the Hugging Face library. */
function setRank(left: u32, right: u32, rank: u32): void {
  const key = pairKey(left, right);
  const hash = hashOf(key);
  const slot = findPair(key, hash);
  store<u64>(slot, key);
  store<u32>(slot, rank, 8);
  const byte = seenByte(hash);
  store<u8>(byte, load<u8>(byte) | seenBit(hash));
}

// @ts-ignore: decorator
@inline
function pairKey(left: u32, right: u32): u64 {
  return ((u64(left) << 32) | u64(right)) + 1;
}

// @ts-ignore: decorator
@inline
function hashOf(key: u64): u64 {
  return (key ^ (key >> 29)) * 0x9e3779b97f4a7c15;
}

// @ts-ignore: decorator
@inline
function seenByte(hash: u64): usize {
  return seen + usize(hash >> slotShift);
}

// @ts-ignore: decorator
@inline
function seenBit(hash: u64): u8 {
  return u8(1) << u8((hash >> (slotShift - 3)) & 7);
}

/** The slot that holds the pair, or the empty one where it would go. */
// @ts-ignore: decorator
@inline
function findPair(key: u64, hash: u64): usize {
  let index = u32(hash >> slotShift);
  while (true) {
    const slot = slots + (usize(index) << 4);
    const found = load<u64>(slot);
    if (found == key || found == 0) return slot;
    index = (index + 1) & slotMask;
  }
}

/** The rank of merging two ids, NONE where they never merge. */
// @ts-ignore: decorator
@inline
export function pairRank(left: u32, right: u32): u32 {
  const key = pairKey(left, right);
  const hash = hashOf(key);
  if ((load<u8>(seenByte(hash)) & seenBit(hash)) == 0) return NONE;
  const slot = findPair(key, hash);
  return load<u64>(slot) == 0 ? NONE : load<u32>(slot, 8);
}

// @ts-ignore: decorator
@inline
export function productOf(rank: u32): u32 {
  return load<u32>(products + 4 * rank);
}
