/**
 * Rows of any length, four numbers at a time: past the end of a row lanes may be read but not used, and are never
 * written. `count` is how many numbers are left from `p` on, at least 1.
 */

/** The numbers at `p`, 0 in the lanes past the end. */
// @ts-ignore: decorator
@inline
export function loadFirst(p: usize, count: i32): v128 {
  return v128.and(v128.load(p), i32x4.lt_s(i32x4(0, 1, 2, 3), i32x4.splat(count)));
}

/** Stores the lanes of `x` that are before the end. */
// @ts-ignore: decorator
@inline
export function storeFirst(p: usize, x: v128, count: i32): void {
  if (count >= 4) v128.store(p, x);
  else storeLanes(p, x, count);
}

function storeLanes(p: usize, x: v128, count: i32): void {
  v128.store32_lane(p, x, 0);
  if (count > 1) v128.store32_lane(p + 4, x, 1);
  if (count > 2) v128.store32_lane(p + 8, x, 2);
}
