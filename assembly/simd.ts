/** a * b + c in one rounding where the CPU has FMA: every product of the kernels goes through here. */
// @ts-ignore: decorator
@inline
export function fma(a: v128, b: v128, c: v128): v128 {
  return v128.relaxed_madd<f32>(a, b, c);
}

/** The sum of the four lanes, ((0 + 1) + (2 + 3)). */
// @ts-ignore: decorator
@inline
export function sumLanes(x: v128): f32 {
  return (
    f32x4.extract_lane(x, 0) + f32x4.extract_lane(x, 1) + (f32x4.extract_lane(x, 2) + f32x4.extract_lane(x, 3))
  );
}

/** The sum of the four lanes, ((0 + 2) + (1 + 3)): the same bits for lanes that are rotated. */
// @ts-ignore: decorator
@inline
export function sumRotatedLanes(x: v128): f32 {
  return (
    f32x4.extract_lane(x, 0) + f32x4.extract_lane(x, 2) + (f32x4.extract_lane(x, 1) + f32x4.extract_lane(x, 3))
  );
}

/** The largest of the four lanes. */
// @ts-ignore: decorator
@inline
export function maxLanes(x: v128): f32 {
  return max(
    max(f32x4.extract_lane(x, 0), f32x4.extract_lane(x, 1)),
    max(f32x4.extract_lane(x, 2), f32x4.extract_lane(x, 3)),
  );
}

/** Four bf16 numbers at `p`, widened exactly. */
// @ts-ignore: decorator
@inline
export function loadBf16(p: usize): v128 {
  return i32x4.shl(v128.load16x4_u(p), 16);
}

/**
 * Four f16 numbers at `p`, widened exactly: the bits are shifted into an f32's place and rescaled by 2^112, which
 * also makes subnormals right; infinities and NaNs get the exponent they lack.
 */
// @ts-ignore: decorator
@inline
export function loadF16(p: usize): v128 {
  const h = v128.load16x4_u(p);
  const sign = i32x4.shl(v128.and(h, i32x4.splat(0x8000)), 16);
  const magnitude = i32x4.shl(v128.and(h, i32x4.splat(0x7fff)), 13);
  const scaled = f32x4.mul(magnitude, f32x4.splat(reinterpret<f32>(0x77800000)));
  const special = i32x4.ge_s(magnitude, i32x4.splat(0x0f800000));
  const value = v128.bitselect(v128.or(magnitude, i32x4.splat(0x7f800000)), scaled, special);
  return v128.or(value, sign);
}

/** Element types of frozen weights, as the kernels are told. */
export const F32: i32 = 0;
export const BF16: i32 = 1;
export const F16: i32 = 2;

/** Four numbers of type `dtype` starting at element `index` of `base`. */
// @ts-ignore: decorator
@inline
export function loadAs(base: usize, index: usize, dtype: i32): v128 {
  if (dtype == F32) return v128.load(base + (index << 2));
  return dtype == BF16 ? loadBf16(base + (index << 1)) : loadF16(base + (index << 1));
}

/** 1.5 * 2^23: between it and the next integers lie no other f32 numbers. */
const ROUND: f32 = 12582912;
const LOG2E: f32 = 1.44269504;
const LN2_HIGH: f32 = 0.693145751953125;
const LN2_LOW: f32 = 1.42860677e-6;

/**
 * e^x lane by lane, within 2 units in the last place for x in [-87.3, 88.7]; below it is 0, above it is clamped, NaN
 * stays. Cody-Waite reduction to |r| <= ln 2 / 2 and the degree-6 polynomial of Cephes expf.
 */
// @ts-ignore: decorator
@inline
export function exp(x: v128): v128 {
  // pmin and pmax are one instruction each; min and max, which order zeros, are six.
  const clamped = f32x4.pmin(f32x4.pmax(x, f32x4.splat(-87.33654)), f32x4.splat(88.72283));
  // Adding 1.5 * 2^23 rounds to an integer, which is then in the low bits.
  const rounded = fma(clamped, f32x4.splat(LOG2E), f32x4.splat(ROUND));
  const n = f32x4.sub(rounded, f32x4.splat(ROUND));
  let r = fma(n, f32x4.splat(-LN2_HIGH), clamped);
  r = fma(n, f32x4.splat(-LN2_LOW), r);
  let p = fma(r, f32x4.splat(1.9875691500e-4), f32x4.splat(1.3981999507e-3));
  p = fma(r, p, f32x4.splat(8.3334519073e-3));
  p = fma(r, p, f32x4.splat(4.1665795894e-2));
  p = fma(r, p, f32x4.splat(1.6666665459e-1));
  p = fma(r, p, f32x4.splat(5.0000001201e-1));
  p = fma(f32x4.mul(r, r), p, f32x4.add(r, f32x4.splat(1)));
  // Times 2^n, by the exponent's bits: p is below 1 where n is 128, and at least 1 where n is -126.
  const y = i32x4.add(p, i32x4.shl(rounded, 23));
  return v128.andnot(y, f32x4.lt(x, f32x4.splat(-87.33654)));
}

/** The natural logarithm of x > 0, normal, within 2e-15: x = 2^e m, log m = 2 artanh((m - 1) / (m + 1)). */
export function log(x: f64): f64 {
  const bits = reinterpret<u64>(x);
  let e = <i32>(bits >> 52) - 1023;
  let m = reinterpret<f64>((bits & 0x000fffffffffffff) | 0x3ff0000000000000);
  if (m > 1.4142135623730951) {
    m *= 0.5;
    e++;
  }
  const s = (m - 1) / (m + 1);
  const q = s * s;
  let p: f64 = 1.0 / 17;
  p = p * q + 1.0 / 15;
  p = p * q + 1.0 / 13;
  p = p * q + 1.0 / 11;
  p = p * q + 1.0 / 9;
  p = p * q + 1.0 / 7;
  p = p * q + 1.0 / 5;
  p = p * q + 1.0 / 3;
  return <f64>e * 0.6931471805599453 + 2 * s + 2 * s * q * p;
}
