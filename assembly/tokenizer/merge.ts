import { allocate, mark, release } from './memory';
import { NONE, pairRank, productOf } from './vocabulary';

/** From this many symbols on the heap beats looking through all pairs for each merge (measured; flat around it). */
const LONG: u32 = 48;

/** u32 by symbol of a short word: the rank of merging it with the next one. */
let shortRanks: usize = 0;

export function allocateMerging(): void {
  shortRanks = allocate(4 * LONG);
}

/**
 * Merges `count` ids at `ids` in place, always the pair of the lowest rank, the leftmost of equal ones; returns how
 * many ids remain.
 */
export function merge(ids: usize, count: u32): u32 {
  return count < LONG ? mergeShort(ids, count) : mergeLong(ids, count);
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
  if (count < 2) return count;
  for (let i: u32 = 0; i + 1 < count; i++) set(shortRanks, i, pairRank(get(ids, i), get(ids, i + 1)));
  set(shortRanks, count - 1, NONE);
  while (true) {
    let lowest = NONE;
    let at: u32 = 0;
    for (let i: u32 = 0; i < count; i++) {
      const rank = get(shortRanks, i);
      if (rank < lowest) {
        lowest = rank;
        at = i;
      }
    }
    if (lowest == NONE) return count;
    count--;
    for (let i = at + 1; i < count; i++) {
      set(ids, i, get(ids, i + 1));
      set(shortRanks, i, get(shortRanks, i + 1));
    }
    const product = productOf(lowest);
    set(ids, at, product);
    if (at > 0) set(shortRanks, at - 1, pairRank(get(ids, at - 1), product));
    set(shortRanks, at, at + 1 < count ? pairRank(product, get(ids, at + 1)) : NONE);
  }
}

/** A long word's symbols as a linked list of records by position: u32 id, next, previous, rank (see below). */
let symbols: usize = 0;
const RECORD: u32 = 16;
const NEXT: usize = 4;
const PREVIOUS: usize = 8;
/** The rank of merging the symbol with the next one; NONE also where the symbol is gone. */
const RANK: usize = 12;

/**
 * A min-heap of u64 rank << 32 | position, four children to a node. An entry whose rank is no longer its position's
 * has expired.
 */
let heap: usize = 0;
let heapSize: u32 = 0;

// @ts-ignore: decorator
@inline
function symbolAt(position: u32): usize {
  return symbols + RECORD * position;
}

function mergeLong(ids: usize, count: u32): u32 {
  const before = mark();
  symbols = allocate(u64(RECORD) * count);
  // At most one entry a pair at first, and a merge takes one out and puts at most two in.
  heap = allocate(u64(16) * count);
  linkAll(ids, count);
  while (heapSize > 0) {
    const entry = pop();
    const rank = u32(entry >> 32);
    const position = u32(entry);
    const left = symbolAt(position);
    if (load<u32>(left, RANK) != rank) continue;
    const right = symbolAt(load<u32>(left, NEXT));
    const after = load<u32>(right, NEXT);
    store<u32>(left, productOf(rank));
    store<u32>(left, after, NEXT);
    store<u32>(left, NONE, RANK);
    store<u32>(right, NONE, RANK);
    const previous = load<u32>(left, PREVIOUS);
    if (previous != NONE) offer(previous, left);
    if (after != NONE) {
      store<u32>(symbolAt(after), position, PREVIOUS);
      offer(position, symbolAt(after));
    }
  }
  let kept: u32 = 0;
  for (let at: u32 = 0; at != NONE; at = load<u32>(symbolAt(at), NEXT)) set(ids, kept++, load<u32>(symbolAt(at)));
  release(before);
  return kept;
}

function linkAll(ids: usize, count: u32): void {
  heapSize = 0;
  for (let i: u32 = 0; i < count; i++) {
    const last = i + 1 == count;
    const rank = last ? NONE : pairRank(get(ids, i), get(ids, i + 1));
    const symbol = symbolAt(i);
    store<u32>(symbol, get(ids, i));
    store<u32>(symbol, last ? NONE : i + 1, NEXT);
    store<u32>(symbol, i - 1, PREVIOUS);
    store<u32>(symbol, rank, RANK);
    if (rank != NONE) setEntry(heapSize++, (u64(rank) << 32) | u64(i));
  }
  for (let i = (heapSize + 2) >> 2; i > 0; i--) siftDown(i - 1, entryAt(i - 1));
}

/** Takes note that `right` now follows the symbol at `position`. */
function offer(position: u32, right: usize): void {
  const left = symbolAt(position);
  const rank = pairRank(load<u32>(left), load<u32>(right));
  store<u32>(left, rank, RANK);
  if (rank == NONE) return;
  const entry = (u64(rank) << 32) | u64(position);
  let at = heapSize++;
  while (at > 0) {
    const parent = (at - 1) >> 2;
    const above = entryAt(parent);
    if (above <= entry) break;
    setEntry(at, above);
    at = parent;
  }
  setEntry(at, entry);
}

// @ts-ignore: decorator
@inline
function entryAt(index: u32): u64 {
  return load<u64>(heap + 8 * index);
}

// @ts-ignore: decorator
@inline
function setEntry(index: u32, entry: u64): void {
  store<u64>(heap + 8 * index, entry);
}

function pop(): u64 {
  const lowest = entryAt(0);
  heapSize--;
  if (heapSize > 0) siftDown(0, entryAt(heapSize));
  return lowest;
}

/** Puts `entry` where `at` is or below it. */
function siftDown(at: u32, entry: u64): void {
  while (true) {
    const first: u32 = 4 * at + 1;
    if (first >= heapSize) break;
    const stop = min(first + 4, heapSize);
    let child = first;
    let below = entryAt(first);
    for (let other = first + 1; other < stop; other++) {
      const candidate = entryAt(other);
      if (candidate < below) {
        below = candidate;
        child = other;
      }
    }
    if (below >= entry) break;
    setEntry(at, below);
    at = child;
  }
  setEntry(at, entry);
}
