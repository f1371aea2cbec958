/**
 * Merging long words in windows, so that the work is linear in their length.
 *
 * Why windows give the same ids as one merge of the whole: two neighbouring tokens s, t of any result are a *valid*
 * pair, that is, merging the symbols of both alone gives s, t again (no merge before the first one over their border
 * depends on what lies outside). And if the last token of A's result and the first of B's are a valid pair, the result
 * of AB is that of A, then that of B. So a window that begins where an earlier one had a border between s and t, and
 * whose own first token is again t, goes on from s. Where it is not, all is done again with wider windows.
 */
import { allocate, mark, release } from './memory';
import { NONE, pairRank, productOf } from './pairs';

/** Symbols of the first windows; what ends in the last quarter is left to the next window. */
const WINDOW: u32 = 256;

/** Merges `count` ids at `ids` in place and returns how many remain. */
export function mergeLong(ids: usize, count: u32): u32 {
  const before = mark();
  const source = allocate(u64(4) * count);
  memory.copy(source, ids, 4 * usize(count));
  let kept: u32 = 0;
  for (let width = WINDOW; kept == 0; width *= 4) kept = mergeWindows(source, count, width, ids);
  release(before);
  return kept;
}

/** Writes the result to `out` and returns its length, 0 where windows of this width do not fit together. */
function mergeWindows(source: usize, count: u32, width: u32, out: usize): u32 {
  const before = mark();
  const most = min(width, count);
  records = allocate(u64(RECORD) * most);
  // At most one entry a pair at first, and a merge takes one out and puts at most two in.
  heap = allocate(u64(16) * most);
  let from: u32 = 0;
  let kept: u32 = 0;
  let last: u32 = NONE;
  // The token that the next window has to begin with, and its symbols.
  let expected: u32 = NONE;
  let expectedEnd: u32 = 0;
  while (from < count) {
    const size = min(width, count - from);
    const ended = from + size == count;
    const start = source + 4 * usize(from);
    // A run of one letter, or of anything with a period, has many windows like the one before.
    if (last == NONE || ended || !same(start, source + 4 * usize(last), size)) mergeWindow(start, size);
    if (expected != NONE && (idAt(0) != expected || nextOf(0) != expectedEnd)) {
      kept = 0;
      break;
    }
    const stop = ended ? size : size - (size >> 2);
    let at: u32 = 0;
    while (at < size && nextOf(at) <= stop) {
      store<u32>(out + 4 * usize(kept++), idAt(at));
      at = nextOf(at);
    }
    if (at == 0) {
      kept = 0;
      break;
    }
    if (!ended) {
      expected = idAt(at);
      expectedEnd = nextOf(at) - at;
    }
    last = from;
    from += at;
  }
  release(before);
  return kept;
}

function same(a: usize, b: usize, count: u32): bool {
  for (let i: usize = 0; i < 4 * usize(count); i += 16) {
    if (v128.any_true(v128.xor(v128.load(a + i), v128.load(b + i)))) return false;
  }
  return true;
}

/** A window's symbols as a linked list of records by position: u32 id, next (its size at the end), previous, rank. */
let records: usize = 0;
let windowSize: u32 = 0;
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
function recordAt(position: u32): usize {
  return records + RECORD * position;
}

// @ts-ignore: decorator
@inline
function idAt(position: u32): u32 {
  return load<u32>(recordAt(position));
}

// @ts-ignore: decorator
@inline
function nextOf(position: u32): u32 {
  return load<u32>(recordAt(position), NEXT);
}

/** Leaves the tokens of `size` symbols in the linked list, beginning at position 0. */
function mergeWindow(symbols: usize, size: u32): void {
  linkAll(symbols, size);
  while (heapSize > 0) {
    const entry = pop();
    const rank = u32(entry >> 32);
    const position = u32(entry);
    const left = recordAt(position);
    if (load<u32>(left, RANK) != rank) continue;
    const right = recordAt(load<u32>(left, NEXT));
    const after = load<u32>(right, NEXT);
    store<u32>(left, productOf(rank));
    store<u32>(left, after, NEXT);
    store<u32>(left, NONE, RANK);
    store<u32>(right, NONE, RANK);
    const previous = load<u32>(left, PREVIOUS);
    if (previous != NONE) offer(previous, left);
    if (after != windowSize) {
      store<u32>(recordAt(after), position, PREVIOUS);
      offer(position, recordAt(after));
    }
  }
}

function linkAll(symbols: usize, size: u32): void {
  windowSize = size;
  heapSize = 0;
  for (let i: u32 = 0; i < size; i++) {
    const id = load<u32>(symbols + 4 * usize(i));
    const rank = i + 1 == size ? NONE : pairRank(id, load<u32>(symbols + 4 * usize(i), 4));
    const record = recordAt(i);
    store<u32>(record, id);
    store<u32>(record, i + 1, NEXT);
    store<u32>(record, i - 1, PREVIOUS);
    store<u32>(record, rank, RANK);
    if (rank != NONE) setEntry(heapSize++, (u64(rank) << 32) | u64(i));
  }
  for (let i = (heapSize + 2) >> 2; i > 0; i--) siftDown(i - 1, entryAt(i - 1));
}

/** Takes note that `right` now follows the symbol at `position`. */
function offer(position: u32, right: usize): void {
  const left = recordAt(position);
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
