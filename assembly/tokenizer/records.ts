/** Remembers words of any number of ids. */
import { chunkAt, sameBytes } from './bytes';
import { allocate } from './memory';

/** Longer words (in bytes) are not kept. */
export const LONGEST_RECORDED: usize = 64;
const SLOTS: u32 = 1 << 16;
const SLOT_BITS: u64 = 16;
const ARENA_BYTES: usize = 4 << 20;
/** A record: u32 bytes, u32 ids, the word's bytes padded with zeros to a multiple of 8, the ids. */
const LONGEST_RECORD: usize = 8 + LONGEST_RECORDED + 4 * LONGEST_RECORDED;

/** Open addressing: u32 lower half of the hash, u32 address of the record (0: empty). */
let slots: usize = 0;
let arena: usize = 0;
let arenaTop: usize = 0;
let kept: u32 = 0;

export function allocateRecords(): void {
  slots = allocate(8 * SLOTS);
  arena = allocate(ARENA_BYTES);
  arenaTop = arena;
}

/** Writes the ids of a word to `out` and returns their end, 0 where the word is not kept. */
export function findRecord(at: usize, length: usize, hash: u64, out: usize): usize {
  const slot = slotOf(at, length, hash);
  const record = load<u32>(slot, 4);
  return record == 0 ? 0 : copyIds(record, out);
}

/** The slot that holds the word, or the empty one where it would go. */
function slotOf(at: usize, length: usize, hash: u64): usize {
  let index = u32(hash >> (64 - SLOT_BITS));
  const tag = u32(hash);
  while (true) {
    const slot = slots + 8 * usize(index);
    const record = usize(load<u32>(slot, 4));
    if (record == 0) return slot;
    const equal = load<u32>(slot) == tag && usize(load<u32>(record)) == length;
    if (equal && sameBytes(record + 8, at, length)) return slot;
    index = (index + 1) & (SLOTS - 1);
  }
}

/** Keeps a word that is not kept yet; all are forgotten when there is no room for another. */
export function keepRecord(at: usize, length: usize, hash: u64, ids: usize, idsEnd: usize): void {
  const slot = slotOf(at, length, hash);
  store<u32>(slot, u32(hash));
  store<u32>(slot, u32(arenaTop), 4);
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

function copyIds(record: usize, out: usize): usize {
  const ids = record + 8 + padded(usize(load<u32>(record)));
  const bytes = usize(load<u32>(record, 4)) << 2;
  for (let i: usize = 0; i < bytes; i += 4) store<u32>(out + i, load<u32>(ids + i));
  return out + bytes;
}
