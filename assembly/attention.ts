import { multiplyColumns, multiplyRows, multiplyRowsInPlace, packTransposed } from './gemm';
import { exp, F32, fma, log, maxLanes, sumLanes, sumRotatedLanes } from './simd';

/*
 * Causal attention inside documents, forward and backward. One tile = one key-value head of one row of the batch, with
 * all query heads that read it: nothing is shared between tiles. Queries go in blocks of Q_BLOCK, so scores are never
 * a [sequence, sequence] matrix; the backward pass recomputes them from the log-sum-exp.
 */

/** Queries of a block. */
export const Q_BLOCK: i32 = 24;

// @ts-ignore: decorator
@inline
export function round8(n: i32): i32 {
  return (n + 7) & ~7;
}

/** The first key that the queries first .. last of a row may see, rounded down to a panel. */
export function firstKey(positions: usize, first: i32, last: i32): i32 {
  let key = first;
  for (let i = first; i <= last; i++) key = min(key, i - load<i32>(positions + <usize>(i << 2)));
  return key & ~7;
}

/** All ones in lanes from `first` on, up to but without `end`, counted from lane 0. */
// @ts-ignore: decorator
@inline
function lanesBetween(first: i32, end: i32): v128 {
  const lane = i32x4(0, 1, 2, 3);
  return v128.and(i32x4.ge_s(lane, i32x4.splat(first)), i32x4.lt_s(lane, i32x4.splat(end)));
}

/** Zeroes [from, to), both multiples of 4. memory.fill leaves WebAssembly, which costs more than these rows. */
// @ts-ignore: decorator
@inline
function clear(s: usize, from: i32, to: i32): void {
  for (let j = from; j < to; j += 4) v128.store(s + <usize>(j << 2), f32x4.splat(0));
}

/**
 * s[from, to) becomes e^(s - m), the rest of [0, width) zero; returns the sum, whose bits do not depend on where a
 * document lies: its first key may be in any lane.
 */
export function exponentiate(s: usize, from: i32, to: i32, width: i32, m: f32): f32 {
  const shift = f32x4.splat(m);
  let sum = f32x4.splat(0);
  const start = from & ~3;
  clear(s, 0, start);
  let j = start;
  for (; j < to; j += 4) {
    const at = s + <usize>(j << 2);
    const e = v128.and(exp(f32x4.sub(v128.load(at), shift)), lanesBetween(from - j, to - j));
    v128.store(at, e);
    sum = f32x4.add(sum, e);
  }
  clear(s, j, width);
  return sumRotatedLanes(sum);
}

export function largest(s: usize, from: i32, to: i32): f32 {
  let m = load<f32>(s + <usize>(from << 2));
  let j = from;
  let lanes = f32x4.splat(m);
  for (; j + 4 <= to; j += 4) lanes = f32x4.pmax(lanes, v128.load(s + <usize>(j << 2)));
  m = maxLanes(lanes);
  for (; j < to; j++) m = max(m, load<f32>(s + <usize>(j << 2)));
  return m;
}

/**
 * o [T, heads headDim] and lse [T, heads] from q, k, v. Scratch: packed keys [sequence, headDim], scores
 * [Q_BLOCK, sequence + 8], one block of outputs [Q_BLOCK, headDim], each dimension rounded up to 8.
 */
export function attention(
  tile: i32, scratch: usize, q: usize, k: usize, v: usize, positions: usize, o: usize, lse: usize, sequence: i32,
  heads: i32, keyValueHeads: i32, headDim: i32, scale: f32,
): void {
  const row = tile / keyValueHeads;
  const head = tile % keyValueHeads;
  const group = heads / keyValueHeads;
  const qStride = <usize>((heads * headDim) << 2);
  const kStride = <usize>((keyValueHeads * headDim) << 2);
  const token = <usize>(row * sequence);
  const keys = k + token * kStride + <usize>((head * headDim) << 2);
  const values = v + token * kStride + <usize>((head * headDim) << 2);
  const places = positions + (token << 2);
  const width = round8(sequence) + 8;
  const packed = scratch;
  const scores = packed + <usize>((round8(sequence) * headDim) << 2);
  const block = scores + <usize>((Q_BLOCK * width) << 2);
  packTransposed(packed, keys, keyValueHeads * headDim, sequence, headDim, F32, scale);
  for (let h = head * group; h < (head + 1) * group; h++) {
    const offset = token * qStride + <usize>((h * headDim) << 2);
    for (let i = 0; i < sequence; i += Q_BLOCK) {
      const m = min(Q_BLOCK, sequence - i);
      const first = firstKey(places, i, i + m - 1);
      const n = round8(i + m - first);
      const queries = q + offset + <usize>i * qStride;
      const lds = <usize>(width << 2);
      multiplyRows(queries, qStride, m, packed + <usize>((first * headDim) << 2), headDim, n, scores, lds, false, 0);
      const sums = block + <usize>((Q_BLOCK * round8(headDim)) << 2);
      for (let r = 0; r < m; r++) {
        const s = scores + <usize>r * lds;
        const to = i + r + 1 - first;
        const from = to - 1 - load<i32>(places + <usize>((i + r) << 2));
        const top = largest(s, from, to);
        const sum = exponentiate(s, from, to, n, top);
        store<f32>(sums + <usize>(r << 2), 1 / sum);
        store<f32>(lse + ((token + <usize>(i + r)) * <usize>heads + <usize>h << 2), <f32>(<f64>top + log(<f64>sum)));
      }
      const ldo = <usize>(round8(headDim) << 2);
      const from = values + <usize>first * kStride;
      multiplyRowsInPlace(scores, lds, m, from, kStride, i + m - first, headDim, block, ldo, false);
      for (let r = 0; r < m; r++) {
        const by = load<f32>(sums + <usize>(r << 2));
        copyScaled(o + offset + <usize>(i + r) * qStride, block + <usize>r * ldo, headDim, by);
      }
    }
  }
}

/** to = from * by, n numbers. */
export function copyScaled(to: usize, from: usize, n: i32, by: f32): void {
  let j = 0;
  for (; j + 4 <= n; j += 4) {
    v128.store(to + <usize>(j << 2), f32x4.mul(v128.load(from + <usize>(j << 2)), f32x4.splat(by)));
  }
  for (; j < n; j++) store<f32>(to + <usize>(j << 2), load<f32>(from + <usize>(j << 2)) * by);
}

export function dot(x: usize, y: usize, n: i32): f32 {
  let sum = f32x4.splat(0);
  let j = 0;
  for (; j + 4 <= n; j += 4) sum = fma(v128.load(x + <usize>(j << 2)), v128.load(y + <usize>(j << 2)), sum);
  let total = sumLanes(sum);
  for (; j < n; j++) total += load<f32>(x + <usize>(j << 2)) * load<f32>(y + <usize>(j << 2));
  return total;
}

/** Row of probabilities p and of dP -> dS = scale p (dP - delta) over dP; both zero outside of the document. */
function scoreGradient(p: usize, dp: usize, from: i32, to: i32, width: i32, lse: f32, delta: f32, scale: f32): void {
  exponentiate(p, from, to, width, lse);
  const d = f32x4.splat(delta);
  const s = f32x4.splat(scale);
  for (let j = 0; j < width; j += 4) {
    const at = <usize>(j << 2);
    v128.store(dp + at, f32x4.mul(f32x4.mul(f32x4.sub(v128.load(dp + at), d), s), v128.load(p + at)));
  }
}

/**
 * dq, dk, dv from dO. Scratch, each dimension rounded up to 8: packed keys and values [sequence, headDim], scores and
 * their gradients [Q_BLOCK, sequence + 8], dq of a block [Q_BLOCK, headDim], dk and dv [sequence, headDim].
 */
export function attention_dx(
  tile: i32, scratch: usize, q: usize, k: usize, v: usize, positions: usize, o: usize, lse: usize, dO: usize, dq: usize,
  dk: usize, dv: usize, sequence: i32, heads: i32, keyValueHeads: i32, headDim: i32, scale: f32,
): void {
  const row = tile / keyValueHeads;
  const head = tile % keyValueHeads;
  const group = heads / keyValueHeads;
  const qStride = <usize>((heads * headDim) << 2);
  const kStride = <usize>((keyValueHeads * headDim) << 2);
  const token = <usize>(row * sequence);
  const corner = token * kStride + <usize>((head * headDim) << 2);
  const places = positions + (token << 2);
  const width = round8(sequence) + 8;
  const lds = <usize>(width << 2);
  const ldd = <usize>(round8(headDim) << 2);
  const panels = <usize>((round8(sequence) * headDim) << 2);
  const packedK = scratch;
  const packedV = packedK + panels;
  const p = packedV + panels;
  const dp = p + <usize>Q_BLOCK * lds;
  const block = dp + <usize>Q_BLOCK * lds;
  const dkSum = block + <usize>Q_BLOCK * ldd;
  const dvSum = dkSum + <usize>round8(sequence) * ldd;
  packTransposed(packedK, k + corner, keyValueHeads * headDim, sequence, headDim, F32, scale);
  packTransposed(packedV, v + corner, keyValueHeads * headDim, sequence, headDim, F32, 1);
  memory.fill(dkSum, 0, 2 * <usize>round8(sequence) * ldd);
  for (let h = head * group; h < (head + 1) * group; h++) {
    const offset = token * qStride + <usize>((h * headDim) << 2);
    for (let i = 0; i < sequence; i += Q_BLOCK) {
      const m = min(Q_BLOCK, sequence - i);
      const first = firstKey(places, i, i + m - 1);
      const keys = i + m - first;
      const n = round8(keys);
      const at = offset + <usize>i * qStride;
      const panel = <usize>((first * headDim) << 2);
      multiplyRows(q + at, qStride, m, packedK + panel, headDim, n, p, lds, false, 0);
      multiplyRows(dO + at, qStride, m, packedV + panel, headDim, n, dp, lds, false, 0);
      for (let r = 0; r < m; r++) {
        const here = at + <usize>r * qStride;
        const to = i + r + 1 - first;
        const from = to - 1 - load<i32>(places + <usize>((i + r) << 2));
        const norm = load<f32>(lse + ((token + <usize>(i + r)) * <usize>heads + <usize>h << 2));
        const delta = dot(dO + here, o + here, headDim);
        scoreGradient(p + <usize>r * lds, dp + <usize>r * lds, from, to, n, norm, delta, scale);
      }
      const there = <usize>first * ldd;
      multiplyColumns(p, lds, keys, dO + at, qStride, m, headDim, dvSum + there, ldd, true);
      multiplyColumns(dp, lds, keys, q + at, qStride, m, headDim, dkSum + there, ldd, true);
      const source = k + corner + <usize>first * kStride;
      multiplyRowsInPlace(dp, lds, m, source, kStride, keys, headDim, block, ldd, false);
      for (let r = 0; r < m; r++) copyScaled(dq + at + <usize>r * qStride, block + <usize>r * ldd, headDim, 1);
    }
  }
  for (let i = 0; i < sequence; i++) {
    copyScaled(dk + corner + <usize>i * kStride, dkSum + <usize>i * ldd, headDim, 1);
    copyScaled(dv + corner + <usize>i * kStride, dvSum + <usize>i * ldd, headDim, 1);
  }
}
