import { allocate } from './memory';
import { merge } from './merge';
import { splitSymbols } from './vocabulary';

/** "▁" in UTF-8, as the low three bytes of a little-endian load. */
const META: u32 = 0x8196e2;

/** Longer words (in bytes) are not kept. */
const LONGEST_KEPT: usize = 64;
const SLOTS: u32 = 1 << 16;
const SLOT_BITS: u64 = 16;
const ARENA_BYTES: usize = 4 << 20;
/** A record: u32 bytes, u32 ids, the word's bytes padded with zeros to a multiple of 8, the ids. */
const LONGEST_RECORD: usize = 8 + LONGEST_KEPT + 4 * LONGEST_KEPT;

/** Open addressing: u32 upper half of the hash, u32 address of the record (0: empty). */
let slots: usize = 0;
let arena: usize = 0;
let arenaTop: usize = 0;
let kept: u32 = 0;

export function allocateWords(): void {
  slots = allocate(8 * SLOTS);
  arena = allocate(ARENA_BYTES);
  arenaTop = arena;
}

/**
 * The ids of [at, end), one word after the other: a word is a run of "▁" with what follows up to the next "▁".
 * Returns the end of what was written to `out`.
 */
export function encodeWords(at: usize, end: usize, out: usize): usize {
  while (at < end) {
    const stop = wordEnd(at, end);
    out = encodeWord(at, stop, out);
    at = stop;
  }
  return out;
}

/** The ids of [at, end) as one word. Returns the end of what was written to `out`. */
export function encodeWhole(at: usize, end: usize, out: usize): usize {
  return out + 4 * merge(out, splitSymbols(at, end, out));
}

// @ts-ignore: decorator
@inline
function isMeta(at: usize): bool {
  return (load<u32>(at) & 0xffffff) == META;
}

/** The texts are followed by 16 bytes that may be read. */
function wordEnd(at: usize, end: usize): usize {
  while (at < end && isMeta(at)) at += 3;
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

function encodeWord(at: usize, end: usize, out: usize): usize {
  const length = end - at;
  if (length > LONGEST_KEPT) return encodeWhole(at, end, out);
  const hash = hashOf(at, length);
  let slot = u32(hash >> (64 - SLOT_BITS));
  const tag = u32(hash);
  while (true) {
    const record = load<u32>(slots + 8 * slot, 4);
    if (record == 0) break;
    if (load<u32>(slots + 8 * slot) == tag && holds(record, at, length)) return copyIds(record, out);
    slot = (slot + 1) & (SLOTS - 1);
  }
  const stop = encodeWhole(at, end, out);
  store<u32>(slots + 8 * slot, tag);
  store<u32>(slots + 8 * slot, u32(arenaTop), 4);
  keep(at, length, out, stop);
  return stop;
}

/** Writes the record at `arenaTop`; all records are forgotten when there is no room for another. */
function keep(at: usize, length: usize, ids: usize, idsEnd: usize): void {
  store<u32>(arenaTop, u32(length));
  store<u32>(arenaTop, u32(idsEnd - ids) >> 2, 4);
  arenaTop += 8;
  for (let i: usize = 0; i < length; i += 8) store<u64>(arenaTop + i, chunkAt(at, i, length));
  arenaTop += padded(length);
  memory.copy(arenaTop, ids, idsEnd - ids);
  arenaTop += padded(idsEnd - ids);
  kept++;
  if (kept < SLOTS / 2 && arenaTop + LONGEST_RECORD <= arena + ARENA_BYTES) return;
  memory.fill(slots, 0, 8 * SLOTS);
  arenaTop = arena;
  kept = 0;
}

// @ts-ignore: decorator
@inline
function padded(length: usize): usize {
  return (length + 7) & ~7;
}

/** Eight bytes at `at + i`, zeros from `length` on. */
// @ts-ignore: decorator
@inline
function chunkAt(at: usize, i: usize, length: usize): u64 {
  const chunk = load<u64>(at + i);
  const left = length - i;
  return left >= 8 ? chunk : chunk & ((u64(1) << (8 * left)) - 1);
}

// @ts-ignore: decorator
@inline
function hashOf(at: usize, length: usize): u64 {
  let hash = u64(length) * 0x9e3779b97f4a7c15;
  for (let i: usize = 0; i < length; i += 8) {
    hash = (hash ^ chunkAt(at, i, length)) * 0x9fb21c651e98df25;
    hash ^= hash >> 32;
  }
  return hash * 0x9e3779b97f4a7c15;
}

// @ts-ignore: decorator
@inline
function holds(record: usize, at: usize, length: usize): bool {
  if (usize(load<u32>(record)) != length) return false;
  for (let i: usize = 0; i < length; i += 8) {
    if (load<u64>(record + 8 + i) != chunkAt(at, i, length)) return false;
  }
  return true;
}

// @ts-ignore: decorator
@inline
function copyIds(record: usize, out: usize): usize {
  const ids = record + 8 + padded(usize(load<u32>(record)));
  const bytes = usize(load<u32>(record, 4)) << 2;
  for (let i: usize = 0; i < bytes; i += 4) store<u32>(out + i, load<u32>(ids + i));
  return out + bytes;
}
