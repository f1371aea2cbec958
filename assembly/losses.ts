/**
 * Statistics of the losses of a step's tokens. A module of its own, with its own memory: the caller puts its arrays
 * from `heapBase()` on. Sizes are multiples of 4; labels mark padding like any other token that is not counted.
 */

/** The label of a token that is not counted. */
const IGNORED: i32 = -100;

/** The key of an entry that has no rank: after those of all finite numbers. */
const NO_RANK: i32 = i32.MAX_VALUE;

/** The first free byte of memory, a multiple of 16. */
export function heapBase(): usize {
  return (__heap_base + 15) & ~15;
}

/** The number of labels, i32 [size], that are counted. */
export function countLabels(labels: usize, size: i32): i32 {
  let masks = i32x4.splat(0);
  for (let i = 0; i < size; i += 4) masks = i32x4.add(masks, counted(labels + (<usize>i << 2)));
  return trueLanes(masks);
}

/**
 * Writes 7 f64 to `out`, of the counted entries of losses f32 [size]: sum (NaN or infinite if an entry is), number of
 * entries that are NaN or infinite, and of the finite ones minimum, p50, p90, p99 (nearest rank), maximum; NaN where
 * there are none. `keys` is room for i32 [size].
 */
export function summarize(losses: usize, labels: usize, size: i32, keys: usize, out: usize): void {
  let low = f64x2.splat(0);
  let high = f64x2.splat(0);
  let masks = i32x4.splat(0);
  let rankedMasks = i32x4.splat(0);
  let least = i32x4.splat(NO_RANK);
  let greatest = i32x4.splat(i32.MIN_VALUE);
  for (let i = 0; i < size; i += 4) {
    const at = <usize>i << 2;
    const mask = counted(labels + at);
    const loss = v128.and(v128.load(losses + at), mask);
    low = f64x2.add(low, f64x2.promote_low_f32x4(loss));
    high = f64x2.add(high, f64x2.promote_low_f32x4(v128.shuffle<i32>(loss, loss, 2, 3, 2, 3)));
    const ranked = v128.and(mask, f32x4.lt(f32x4.abs(loss), f32x4.splat(Infinity)));
    const key = v128.bitselect(ordered(loss), i32x4.splat(NO_RANK), ranked);
    v128.store(keys + at, key);
    least = i32x4.min_s(least, key);
    greatest = i32x4.max_s(greatest, v128.bitselect(key, i32x4.splat(i32.MIN_VALUE), ranked));
    masks = i32x4.add(masks, mask);
    rankedMasks = i32x4.add(rankedMasks, ranked);
  }
  const sums = f64x2.add(low, high);
  const ranks = trueLanes(rankedMasks);
  store<f64>(out, f64x2.extract_lane(sums, 0) + f64x2.extract_lane(sums, 1));
  store<f64>(out, <f64>(trueLanes(masks) - ranks), 8);
  if (ranks > 0) storeRanks(keys, size, ranks, minLane(least), maxLane(greatest), out + 16);
  else for (let i = 2; i < 7; i++) store<f64>(out + (<usize>i << 3), NaN);
}

/** Minimum, p50, p90, p99 and maximum of the `ranks` entries that have one. */
function storeRanks(keys: usize, size: i32, ranks: i32, least: i32, greatest: i32, out: usize): void {
  const p50 = select(keys, size, nearestRank(50, ranks), least, greatest);
  const p90 = select(keys, size, nearestRank(90, ranks), p50, greatest);
  const p99 = select(keys, size, nearestRank(99, ranks), p90, greatest);
  store<f64>(out, valueOf(least));
  store<f64>(out, valueOf(p50), 8);
  store<f64>(out, valueOf(p90), 16);
  store<f64>(out, valueOf(p99), 24);
  store<f64>(out, valueOf(greatest), 32);
}

/** ceil(percent / 100 * count): ranks count from 1. */
function nearestRank(percent: i64, count: i32): i32 {
  return <i32>((percent * count + 99) / 100);
}

/**
 * The key with that rank, known to be in [low, high]: bisection of the keys' range, at most 32 counting passes
 * whatever the numbers are.
 */
function select(keys: usize, size: i32, rank: i32, low: i32, high: i32): i32 {
  while (low < high) {
    const middle = low + <i32>(<u32>(high - low) >> 1);
    if (countUpTo(keys, size, middle) >= rank) high = middle;
    else low = middle + 1;
  }
  return low;
}

function countUpTo(keys: usize, size: i32, limit: i32): i32 {
  const end = keys + (<usize>size << 2);
  let masks = i32x4.splat(0);
  for (let key = keys; key < end; key += 16) {
    masks = i32x4.add(masks, i32x4.le_s(v128.load(key), i32x4.splat(limit)));
  }
  return trueLanes(masks);
}

/** All ones where the label is counted. */
// @ts-ignore: decorator
@inline
function counted(label: usize): v128 {
  return i32x4.ne(v128.load(label), i32x4.splat(IGNORED));
}

/** Integers in the order of the numbers: below 0, all bits but the sign are flipped. Its own inverse. */
// @ts-ignore: decorator
@inline
function ordered(x: v128): v128 {
  return v128.xor(x, i32x4.shr_u(i32x4.shr_s(x, 31), 1));
}

function valueOf(key: i32): f64 {
  return <f64>f32x4.extract_lane(ordered(i32x4.splat(key)), 0);
}

/** How often a lane was true in a sum of masks: each counted as -1. */
function trueLanes(masks: v128): i32 {
  return -(
    i32x4.extract_lane(masks, 0) + i32x4.extract_lane(masks, 1) +
    i32x4.extract_lane(masks, 2) + i32x4.extract_lane(masks, 3)
  );
}

function minLane(x: v128): i32 {
  const pair = i32x4.min_s(x, v128.shuffle<i32>(x, x, 2, 3, 0, 1));
  return min(i32x4.extract_lane(pair, 0), i32x4.extract_lane(pair, 1));
}

function maxLane(x: v128): i32 {
  const pair = i32x4.max_s(x, v128.shuffle<i32>(x, x, 2, 3, 0, 1));
  return max(i32x4.extract_lane(pair, 0), i32x4.extract_lane(pair, 1));
}
