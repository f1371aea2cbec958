import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  bfloat16ToFloat32,
  float16ToFloat32,
  float32ToBfloat16,
  float32ToFloat16,
} from '#src/formats/float16.js';

const ALL_HALVES = Uint16Array.from({ length: 65536 }, (_, i) => i);

/** The definition of binary16, by arithmetic instead of bits. */
function halfValue(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 31;
  const fraction = half & 1023;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (exponent ? (1 + fraction / 1024) * 2 ** (exponent - 15) : fraction * 2 ** -24);
}

function toHalf(value: number): number {
  const half = new Uint16Array(1);
  float32ToFloat16(Float32Array.of(value), half);
  return half[0]!;
}

/** The next float32 towards +infinity (direction 1) or -infinity (-1); `value` is positive. */
function neighbour(value: number, direction: number): number {
  const float = Float32Array.of(value);
  new Uint32Array(float.buffer)[0]! += direction;
  return float[0]!;
}

test('every float16 widens to its exact value', () => {
  const wide = new Float32Array(65536);
  float16ToFloat32(ALL_HALVES, wide);
  for (const half of ALL_HALVES) {
    assert.ok(Object.is(wide[half], halfValue(half)), `float16 0x${half.toString(16)}: ${wide[half]}`);
  }
});

test('every float16 survives the way to float32 and back, NaN payloads included', () => {
  const wide = new Float32Array(65536);
  const back = new Uint16Array(65536);
  float16ToFloat32(ALL_HALVES, wide);
  float32ToFloat16(wide, back);
  for (const half of ALL_HALVES) {
    const isSignalling = (half & 0x7c00) === 0x7c00 && (half & 0x3ff) !== 0 && (half & 0x200) === 0;
    assert.is(back[half], isSignalling ? half | 0x200 : half);
  }
});

test('between any two float16 neighbours the nearer one is taken, and the even one halfway', () => {
  for (let half = 0; half < 0x7bff; half++) {
    const midpoint = (halfValue(half) + halfValue(half + 1)) / 2;
    const even = half % 2 === 0 ? half : half + 1;
    assert.is(toHalf(midpoint), even, `midpoint above 0x${half.toString(16)}`);
    assert.is(toHalf(neighbour(midpoint, -1)), half);
    assert.is(toHalf(neighbour(midpoint, 1)), half + 1);
    assert.is(toHalf(-midpoint), 0x8000 | even);
  }
});

test('the ends of the float16 range', () => {
  assert.is(toHalf(65504), 0x7bff);
  assert.is(toHalf(neighbour(65520, -1)), 0x7bff);
  assert.is(toHalf(65520), 0x7c00);
  assert.is(toHalf(-3e38), 0xfc00);
  assert.is(toHalf(Number.NEGATIVE_INFINITY), 0xfc00);
  assert.is(toHalf(2 ** -25), 0);
  assert.is(toHalf(neighbour(2 ** -25, 1)), 1);
  assert.is(toHalf(2 ** -149), 0);
  assert.is(toHalf(-0), 0x8000);
});

test('bfloat16 is the upper half of a float32', () => {
  const wide = new Float32Array(65536);
  bfloat16ToFloat32(ALL_HALVES, wide);
  const bits = new Uint32Array(wide.buffer);
  for (const half of ALL_HALVES) assert.is(bits[half], (half << 16) >>> 0);
  assert.is(wide[0x3f80], 1);
  assert.is(wide[0xff80], Number.NEGATIVE_INFINITY);
});

test('every bfloat16 survives the way to float32 and back; a NaN turns quiet', () => {
  const wide = new Float32Array(65536);
  const back = new Uint16Array(65536);
  bfloat16ToFloat32(ALL_HALVES, wide);
  float32ToBfloat16(wide, back);
  for (const half of ALL_HALVES) {
    const isNotANumber = (half & 0x7fff) > 0x7f80;
    assert.is(back[half], isNotANumber ? half | 0x40 : half);
  }
});

test('between bfloat16 neighbours the nearer one is taken, the even one halfway, infinity beyond the range', () => {
  const bits = (value: number): Uint16Array => {
    const half = new Uint16Array(1);
    float32ToBfloat16(Float32Array.of(value), half);
    return half;
  };
  // The spacing in [1, 2) is 2^-7: halves of it are ties.
  const step = 2 ** -7;
  for (const [value, rounded] of [
    [-0, -0],
    [1 + step / 2, 1],
    [1 + (3 * step) / 2, 1 + 2 * step],
    [1 + step / 2 + 2 ** -20, 1 + step],
    [-1 - step / 2, -1],
    [2 - 2 ** -20, 2],
    [2 ** -149, 0],
    [3.4e38, Number.POSITIVE_INFINITY],
    [-3.4e38, Number.NEGATIVE_INFINITY],
  ] as const) {
    const wide = new Float32Array(1);
    bfloat16ToFloat32(bits(value), wide);
    assert.ok(Object.is(wide[0], rounded), `${value}: ${wide[0]}, expected ${rounded}`);
  }
  // Its payload is in the lower half alone.
  const nan = new Float32Array(Uint32Array.of(0xff800001).buffer);
  const half = new Uint16Array(1);
  float32ToBfloat16(nan, half);
  assert.is(half[0], 0xffc0);
});

test.run();
