/**
 * Conversions between float32 and the two 16-bit formats, on bit patterns, so that NaN payloads survive.
 * Widening is exact. Source of the layouts: IEEE 754-2019 binary16; bfloat16 is the upper half of a float32.
 */

/** Widens bfloat16 bit patterns into `target`, which has the same number of elements. */
export function bfloat16ToFloat32(source: Uint16Array, target: Float32Array): void {
  const bits = bitsOf(target);
  for (let i = 0; i < source.length; i++) bits[i] = source[i]! << 16;
}

/** Rounds float32 to bfloat16 bit patterns, to nearest, ties to even. */
export function float32ToBfloat16(source: Float32Array, target: Uint16Array): void {
  const bits = bitsOf(source);
  for (let i = 0; i < bits.length; i++) target[i] = roundToBfloat16(bits[i]!);
}

/** Widens float16 bit patterns into `target`, which has the same number of elements. */
export function float16ToFloat32(source: Uint16Array, target: Float32Array): void {
  const bits = bitsOf(target);
  for (let i = 0; i < source.length; i++) bits[i] = widenHalf(source[i]!);
}

/** Rounds float32 to float16 bit patterns, to nearest, ties to even; what is beyond 65504 becomes an infinity. */
export function float32ToFloat16(source: Float32Array, target: Uint16Array): void {
  const bits = bitsOf(source);
  for (let i = 0; i < bits.length; i++) target[i] = roundToHalf(bits[i]!);
}

function bitsOf(array: Float32Array): Uint32Array {
  return new Uint32Array(array.buffer, array.byteOffset, array.length);
}

function roundToBfloat16(bits: number): number {
  // The quiet bit keeps a NaN whose payload is in the lower half from turning into an infinity.
  if ((bits & 0x7fffffff) > 0x7f800000) return (bits >>> 16) | 0x40;
  return shiftToEven(bits, 16);
}

function widenHalf(half: number): number {
  const sign = (half & 0x8000) << 16;
  let exponent = (half >>> 10) & 0x1f;
  let fraction = half & 0x3ff;
  if (exponent === 0x1f) return sign | 0x7f800000 | (fraction << 13);
  if (exponent === 0) {
    if (fraction === 0) return sign;
    // A subnormal is fraction x 2^-24: shift its leading one up to the hidden bit.
    const shift = Math.clz32(fraction) - 21;
    fraction = (fraction << shift) & 0x3ff;
    exponent = 1 - shift;
  }
  return sign | ((exponent + 112) << 23) | (fraction << 13);
}

function roundToHalf(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  // The top payload bits are kept; the quiet bit keeps a NaN from turning into an infinity.
  if (magnitude > 0x7f800000) return sign | 0x7e00 | ((magnitude >>> 13) & 0x3ff);
  if (magnitude >= 0x47800000) return sign | 0x7c00;
  if (magnitude >= 0x38800000) return sign | shiftToEven(magnitude - 0x38000000, 13);
  // Below 2^-14 the result counts units of 2^-24, so the shift grows as the exponent falls; at 2^-25 all is lost.
  const shift = 126 - (magnitude >>> 23);
  return shift > 24 ? sign : sign | shiftToEven((magnitude & 0x7fffff) | 0x800000, shift);
}

/** value / 2^shift, to nearest, ties to even; a carry into the exponent is the correct result. */
function shiftToEven(value: number, shift: number): number {
  const quotient = value >>> shift;
  const remainder = value & ((1 << shift) - 1);
  const half = 1 << (shift - 1);
  return quotient + (remainder > half || (remainder === half && (quotient & 1) === 1) ? 1 : 0);
}
