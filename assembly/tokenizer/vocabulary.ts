import { allocate } from './memory';

/** No rank, no token: ids and ranks are below it. */
export const NONE: u32 = u32.MAX_VALUE;

const CODE_POINTS: u32 = 0x110000;

/** u32 by code point, and by byte: the id of its token plus 1, 0 where there is none. */
let symbols: usize = 0;
let bytes: usize = 0;

/** Open addressing over pairs of ids: u64 left << 32 | right, plus 1 (0 is empty); u32 rank. */
let keys: usize = 0;
let ranks: usize = 0;
let slotMask: u32 = 0;
let slotShift: u64 = 0;

/** u32 by rank: the id that the pair becomes. */
let products: usize = 0;
let merges: u32 = 0;

let unknown: u32 = NONE;
let fuseUnknown: bool = false;

/** Tables for up to `capacity` merges; `unknownId` is NONE where characters without a token are dropped. */
export function allocateVocabulary(capacity: u32, unknownId: u32, fuse: bool): void {
  unknown = unknownId;
  fuseUnknown = fuse;
  symbols = allocate(4 * CODE_POINTS);
  bytes = allocate(4 * 256);
  const bits = 64 - clz<u64>(u64(capacity) + (capacity >> 1) + 1);
  slotMask = (1 << u32(bits)) - 1;
  slotShift = 64 - bits;
  keys = allocate(u64(8) << bits);
  ranks = allocate(u64(4) << bits);
  products = allocate(u64(4) * capacity);
}

export function setSymbol(codePoint: u32, id: u32): void {
  store<u32>(symbols + 4 * codePoint, id + 1);
}

export function setByte(byte: u32, id: u32): void {
  store<u32>(bytes + 4 * byte, id + 1);
}

/** The next merge in rank order. A pair given twice keeps its last rank, as in the Hugging Face library. */
export function addMerge(left: u32, right: u32, product: u32): void {
  const slot = findPair(left, right);
  store<u64>(keys + 8 * slot, pairKey(left, right));
  store<u32>(ranks + 4 * slot, merges);
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
  let slot = u32((key * 0x9e3779b97f4a7c15) >> slotShift);
  while (true) {
    const found = load<u64>(keys + 8 * slot);
    if (found == key || found == 0) return slot;
    slot = (slot + 1) & slotMask;
  }
}

/** The rank of merging two ids, NONE where they never merge. */
export function pairRank(left: u32, right: u32): u32 {
  const slot = findPair(left, right);
  return load<u64>(keys + 8 * slot) == 0 ? NONE : load<u32>(ranks + 4 * slot);
}

// @ts-ignore: decorator
@inline
export function productOf(rank: u32): u32 {
  return load<u32>(products + 4 * rank);
}

/**
 * The ids of the characters of valid UTF-8 in [at, end), written to `out`; returns how many: at most one a byte.
 * A character without a token becomes its bytes where all of them have tokens, else the unknown token. As in the
 * Hugging Face library, an unknown token is written when the next character with a token (or the end) is reached:
 * after bytes that came in between.
 */
export function splitSymbols(at: usize, end: usize, out: usize): u32 {
  const start = out;
  let pending = false;
  while (at < end) {
    const length = utf8Length(load<u8>(at));
    const symbol = load<u32>(symbols + 4 * codePointAt(at, length));
    if (symbol != 0) {
      if (pending) out = append(out, unknown);
      pending = false;
      out = append(out, symbol - 1);
    } else if (haveBytes(at, length)) {
      for (let i: usize = 0; i < length; i++) out = append(out, load<u32>(bytes + 4 * load<u8>(at + i)) - 1);
    } else if (unknown != NONE) {
      if (pending && !fuseUnknown) out = append(out, unknown);
      pending = true;
    }
    at += length;
  }
  if (pending) out = append(out, unknown);
  return u32(out - start) >> 2;
}

// @ts-ignore: decorator
@inline
function append(out: usize, id: u32): usize {
  store<u32>(out, id);
  return out + 4;
}

function haveBytes(at: usize, length: usize): bool {
  for (let i: usize = 0; i < length; i++) {
    if (load<u32>(bytes + 4 * load<u8>(at + i)) == 0) return false;
  }
  return true;
}

// @ts-ignore: decorator
@inline
function utf8Length(lead: u8): usize {
  return lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}

// @ts-ignore: decorator
@inline
function codePointAt(at: usize, length: usize): u32 {
  const lead = u32(load<u8>(at));
  if (length == 1) return lead;
  if (length == 2) return ((lead & 0x1f) << 6) | continuation(at + 1);
  if (length == 3) return ((lead & 0x0f) << 12) | (continuation(at + 1) << 6) | continuation(at + 2);
  return (
    ((lead & 0x07) << 18) | (continuation(at + 1) << 12) | (continuation(at + 2) << 6) | continuation(at + 3)
  );
}

// @ts-ignore: decorator
@inline
function continuation(at: usize): u32 {
  return u32(load<u8>(at)) & 0x3f;
}
