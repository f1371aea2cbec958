import { storeFirst } from './tail';

const GOLDEN: u32 = 0x9e3779b9;

/** lowbias32 (C. Wellons): a bijection in which every input bit flips each output bit about half the time. */
// @ts-ignore: decorator
@inline
function mix(value: u32): u32 {
  let x = value;
  x = (x ^ (x >> 16)) * 0x7feb352d;
  x = (x ^ (x >> 15)) * 0x846ca68b;
  return x ^ (x >> 16);
}

/** `mix` lane by lane. */
// @ts-ignore: decorator
@inline
function mixLanes(value: v128): v128 {
  let x = value;
  x = i32x4.mul(v128.xor(x, i32x4.shr_u(x, 16)), i32x4.splat(0x7feb352d));
  x = i32x4.mul(v128.xor(x, i32x4.shr_u(x, 15)), i32x4.splat(0x846ca68b));
  return v128.xor(x, i32x4.shr_u(x, 16));
}

// @ts-ignore: decorator
@inline
function absorb(state: u32, value: u32): u32 {
  return mix((state ^ value) + GOLDEN);
}

/**
 * y = x scale where hash(seed, step, site, place_t, j) >= threshold (unsigned), else 0: x, y [rows, columns],
 * seedStep u32 [2], place u32 [rows]; the hash is defined in src/program/ops/dropout.ts. y may be x. A tile is some
 * rows.
 */
export function dropout(
  tile: i32, scratch: usize, x: usize, seedStep: usize, place: usize, y: usize, rows: i32, columns: i32,
  rowsPerTile: i32, site: i32, threshold: i32, scale: f32,
): void {
  const call = absorb(absorb(absorb(0, load<u32>(seedStep)), load<u32>(seedStep, 4)), site);
  const end = min((tile + 1) * rowsPerTile, rows);
  for (let row = tile * rowsPerTile; row < end; row++) {
    const key = i32x4.splat(absorb(call, load<u32>(place + (<usize>row << 2))));
    const offset = (<usize>row * columns) << 2;
    let counter = i32x4.add(key, i32x4.mul(i32x4(0, 1, 2, 3), i32x4.splat(GOLDEN)));
    for (let j = 0; j < columns; j += 4) {
      const at = offset + (<usize>j << 2);
      const hash = mixLanes(v128.xor(mixLanes(counter), key));
      const kept = i32x4.ge_u(hash, i32x4.splat(threshold));
      storeFirst(y + at, v128.and(f32x4.mul(v128.load(x + at), f32x4.splat(scale)), kept), columns - j);
      counter = i32x4.add(counter, i32x4.splat(GOLDEN * 4));
    }
  }
}
