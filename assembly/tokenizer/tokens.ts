/** Tokens by their bytes. */
import { hashOf, sameBytes } from './bytes';
import { allocate } from './memory';
import { NONE } from './pairs';

/** Open addressing: u32 start of the bytes, u32 length, u32 id plus 1 (0: empty), u32 of the hash; 16 bytes a slot. */
let slots: usize = 0;
let slotMask: u32 = 0;
let longest: usize = 0;

/** A bit for each hash that occurs: most words are no tokens, and this stays in the cache. */
let seen: usize = 0;
const SEEN_BITS: u64 = 20;
const SEEN_BYTES: usize = 1 << 17;

/** `count` tokens: bytes one after the other at `at`, u32 pairs of length and id at `entries`. The bytes must stay. */
export function addTokens(at: usize, entries: usize, count: u32): void {
  slotMask = (1 << (33 - clz<u32>(count))) - 1;
  const bytes: usize = 16 * (usize(slotMask) + 1);
  slots = allocate(bytes);
  memory.fill(slots, 0, bytes);
  seen = allocate(SEEN_BYTES);
  memory.fill(seen, 0, SEEN_BYTES);
  longest = 0;
  for (let i: u32 = 0; i < count; i++) {
    const entry = entries + 8 * usize(i);
    const length = usize(load<u32>(entry));
    const hash = hashOf(at, length);
    let index = u32(hash >> 32) & slotMask;
    while (load<u32>(slots + 16 * usize(index), 8) != 0) index = (index + 1) & slotMask;
    const slot = slots + 16 * usize(index);
    store<u32>(slot, u32(at));
    store<u32>(slot, u32(length), 4);
    store<u32>(slot, load<u32>(entry, 4) + 1, 8);
    store<u32>(slot, u32(hash), 12);
    store<u8>(seenByte(hash), load<u8>(seenByte(hash)) | seenBit(hash));
    longest = max(longest, length);
    at += length;
  }
}

// @ts-ignore: decorator
@inline
function seenByte(hash: u64): usize {
  return seen + usize((hash >> (64 - SEEN_BITS)) >> 3);
}

// @ts-ignore: decorator
@inline
function seenBit(hash: u64): u8 {
  return u8(1) << u8((hash >> (64 - SEEN_BITS)) & 7);
}

/** The id of the token [at, at + length), NONE where it is none. */
export function tokenId(at: usize, length: usize): u32 {
  if (length > longest) return NONE;
  const hash = hashOf(at, length);
  if ((load<u8>(seenByte(hash)) & seenBit(hash)) == 0) return NONE;
  let index = u32(hash >> 32) & slotMask;
  while (true) {
    const slot = slots + 16 * usize(index);
    const id = load<u32>(slot, 8);
    if (id == 0) return NONE;
    const equal = load<u32>(slot, 12) == u32(hash) && usize(load<u32>(slot, 4)) == length;
    if (equal && sameBytes(usize(load<u32>(slot)), at, length)) return id - 1;
    index = (index + 1) & slotMask;
  }
}

export function forgetTokens(): void {
  longest = 0;
}
