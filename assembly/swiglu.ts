import { exp, fma } from './simd';
import { storeFirst } from './tail';

/** 1 / (1 + e^-x). The exponential is clamped below infinity, so that x sigma(x) is no NaN for any finite x. */
// @ts-ignore: decorator
@inline
function sigma(x: v128): v128 {
  const one = f32x4.splat(1);
  return f32x4.div(one, f32x4.add(one, exp(f32x4.neg(x))));
}

/** y = silu(gate) up, over `size` numbers; y may be gate or up. A tile is a range of numbers, a multiple of 4. */
export function swiglu(tile: i32, scratch: usize, gate: usize, up: usize, y: usize, size: i32, perTile: i32): void {
  const end = min((tile + 1) * perTile, size);
  for (let i = tile * perTile; i < end; i += 4) {
    const at = <usize>i << 2;
    const g = v128.load(gate + at);
    storeFirst(y + at, f32x4.mul(f32x4.mul(g, sigma(g)), v128.load(up + at)), end - i);
  }
}

/**
 * dGate = dy up sigma(gate) (1 + gate (1 - sigma(gate))), dUp = dy silu(gate); dGate may be gate, dUp may be up or
 * dy. Tiles as in `swiglu`.
 */
export function swiglu_dx(
  tile: i32, scratch: usize, dy: usize, gate: usize, up: usize, dGate: usize, dUp: usize, size: i32, perTile: i32,
): void {
  const one = f32x4.splat(1);
  const end = min((tile + 1) * perTile, size);
  for (let i = tile * perTile; i < end; i += 4) {
    const at = <usize>i << 2;
    const g = v128.load(gate + at);
    const d = v128.load(dy + at);
    const u = v128.load(up + at);
    const s = sigma(g);
    const slope = f32x4.mul(s, fma(g, f32x4.sub(one, s), one));
    storeFirst(dGate + at, f32x4.mul(f32x4.mul(d, u), slope), end - i);
    storeFirst(dUp + at, f32x4.mul(d, f32x4.mul(g, s)), end - i);
  }
}
