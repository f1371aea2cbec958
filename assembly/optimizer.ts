import { fma } from './simd';
import { loadFirst, storeFirst } from './tail';

/**
 * total += gradient, and partials[tile] = the tile's sum(gradient^2), f64. A tile is a range of the `size` numbers, a
 * multiple of 4.
 */
export function accumulate(
  tile: i32, scratch: usize, total: usize, gradient: usize, partials: usize, size: i32, perTile: i32,
): void {
  const begin = tile * perTile;
  const end = min(begin + perTile, size);
  for (let i = begin; i < end; i += 4) {
    const at = <usize>i << 2;
    storeFirst(total + at, f32x4.add(v128.load(total + at), v128.load(gradient + at)), end - i);
  }
  sum_of_squares(tile, scratch, gradient, partials, size, perTile);
}

/** total += part, and part = 0; tiles as in `accumulate`. */
export function fold(tile: i32, scratch: usize, total: usize, part: usize, size: i32, perTile: i32): void {
  const begin = tile * perTile;
  const end = min(begin + perTile, size);
  for (let i = begin; i < end; i += 4) {
    const at = <usize>i << 2;
    storeFirst(total + at, f32x4.add(v128.load(total + at), v128.load(part + at)), end - i);
    storeFirst(part + at, f32x4.splat(0), end - i);
  }
}

/** partials[tile] = the tile's sum(x^2), f64; tiles as in `accumulate`. */
export function sum_of_squares(
  tile: i32, scratch: usize, x: usize, partials: usize, size: i32, perTile: i32,
): void {
  const end = min((tile + 1) * perTile, size);
  let low = f64x2.splat(0);
  let high = f64x2.splat(0);
  for (let i = tile * perTile; i < end; i += 4) {
    const four = loadFirst(x + (<usize>i << 2), end - i);
    const a = f64x2.promote_low_f32x4(four);
    const b = f64x2.promote_low_f32x4(v128.shuffle<i32>(four, four, 2, 3, 2, 3));
    low = f64x2.add(low, f64x2.mul(a, a));
    high = f64x2.add(high, f64x2.mul(b, b));
  }
  const sums = f64x2.add(low, high);
  store<f64>(partials + (<usize>tile << 3), f64x2.extract_lane(sums, 0) + f64x2.extract_lane(sums, 1));
}

/** sum[0] (f32) = the sum of the `count` f64 partials, in their order: one tile. */
export function sum_partials(tile: i32, scratch: usize, partials: usize, count: i32, sum: usize): void {
  let total: f64 = 0;
  for (let i = 0; i < count; i++) total += load<f64>(partials + (<usize>i << 3));
  store<f32>(sum, <f32>total);
}

/**
 * One AdamW step on g = gradient * scale * min(1, clip / (norm + 1e-6)), norm = scale sqrt(sum(squares)); then
 * gradient = 0, which is all that happens where sum(squares) is not finite. squares f32 [squaresCount]; step,
 * learningRate, scale, clip f32 [1]. Constants are f64, since 1 - beta cancels. Tiles as in `accumulate`; each works the
 * scalars out again, which costs less than a barrier.
 */
export function adamw(
  tile: i32, scratch: usize, parameter: usize, gradient: usize, m: usize, v: usize, squares: usize,
  squaresCount: i32, step: usize, learningRate: usize, scale: usize, clip: usize, size: i32, perTile: i32,
  beta1: f64, beta2: f64, eps: f64, weightDecay: f64,
): void {
  const begin = tile * perTile;
  const end = min(begin + perTile, size);
  const square = sumOf(squares, squaresCount);
  if (!isFinite(square)) {
    memory.fill(gradient + (<usize>begin << 2), 0, <usize>(end - begin) << 2);
    return;
  }
  const steps = <u32>load<f32>(step);
  const rate = <f64>load<f32>(learningRate);
  const factor = f32x4.splat(<f32>gradientFactor(square, load<f32>(scale), load<f32>(clip)));
  const decay = f32x4.splat(<f32>(1 - rate * weightDecay));
  const stepSize = f32x4.splat(<f32>(-rate / (1 - power(beta1, steps))));
  const root2 = f32x4.splat(<f32>sqrt<f64>(1 - power(beta2, steps)));
  for (let i = begin; i < end; i += 4) {
    const at = <usize>i << 2;
    const left = end - i;
    const g = f32x4.mul(v128.load(gradient + at), factor);
    const oldM = v128.load(m + at);
    const newM = fma(f32x4.splat(<f32>(1 - beta1)), f32x4.sub(g, oldM), oldM);
    const kept = f32x4.mul(f32x4.splat(<f32>beta2), v128.load(v + at));
    const newV = fma(f32x4.mul(f32x4.splat(<f32>(1 - beta2)), g), g, kept);
    const denominator = f32x4.add(f32x4.div(f32x4.sqrt(newV), root2), f32x4.splat(<f32>eps));
    const decayed = f32x4.mul(v128.load(parameter + at), decay);
    storeFirst(parameter + at, fma(stepSize, f32x4.div(newM, denominator), decayed), left);
    storeFirst(m + at, newM, left);
    storeFirst(v + at, newV, left);
    storeFirst(gradient + at, f32x4.splat(0), left);
  }
}

function sumOf(squares: usize, count: i32): f64 {
  let total: f64 = 0;
  for (let i = 0; i < count; i++) total += load<f32>(squares + (<usize>i << 2));
  return total;
}

/** What gradients are multiplied by: the scale, and clipping to the norm over all parameters. */
function gradientFactor(square: f64, scale: f64, clip: f64): f64 {
  return scale * min<f64>(1, clip / (scale * sqrt<f64>(square) + 1e-6));
}

/** base^exponent by repeated squaring: the same bits everywhere, unlike a library's pow. */
function power(base: f64, exponent: u32): f64 {
  let result: f64 = 1;
  let square = base;
  for (let rest = exponent; rest > 0; rest >>= 1) {
    if (rest & 1) result *= square;
    square *= square;
  }
  return result;
}
