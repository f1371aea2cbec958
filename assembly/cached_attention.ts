import {
  copyScaled, dot, exponentiate, firstKey, largest, Q_BLOCK, round8,
} from './attention';
import { multiplyRows, multiplyRowsInPlace, packTransposed } from './gemm';
import { F32 } from './simd';

/*
 * Attention over what a cache holds and over new tokens. One tile = one query head of one row of the batch. The scores of a
 * query lie in one row: first those of the cache, from a multiple of 8 on those of new tokens.
 */

/** Rows of up to this many new tokens read keys in place: packing them would cost more than the products. */
const FEW: i32 = 4;

/** scores[j] = scale q k_j for n keys with rows of `kStride` bytes. */
function scoresInPlace(scores: usize, q: usize, keys: usize, kStride: usize, n: i32, headDim: i32, scale: f32): void {
  for (let j = 0; j < n; j++) {
    store<f32>(scores + <usize>(j << 2), scale * dot(q, keys + <usize>j * kStride, headDim));
  }
}

/**
 * o [T, heads headDim] from q, k, v of rows of `sequence` tokens and from keys and values [T / sequence, capacity,
 * keyValueHeads headDim], of which the first cached_row of each row are read. Scratch: scores [Q_BLOCK, capacity + sequence
 * + 8], one block of outputs [Q_BLOCK, headDim], Q_BLOCK sums, packed keys [capacity + sequence, headDim], each dimension
 * rounded up to 8.
 */
export function cached_attention(
  tile: i32, scratch: usize, q: usize, k: usize, v: usize, positions: usize, cached: usize, keys: usize, values: usize,
  o: usize, sequence: i32, heads: i32, keyValueHeads: i32, headDim: i32, capacity: i32, scale: f32,
): void {
  const row = tile / heads;
  const head = tile % heads;
  const qStride = <usize>((heads * headDim) << 2);
  const kStride = <usize>((keyValueHeads * headDim) << 2);
  const corner = <usize>(((head * keyValueHeads) / heads) * headDim << 2);
  const token = <usize>(row * sequence);
  const newKeys = k + token * kStride + corner;
  const newValues = v + token * kStride + corner;
  const old = <usize>(row * capacity) * kStride + corner;
  const places = positions + (token << 2);
  const past = load<i32>(cached + (<usize>row << 2));
  const lds = <usize>((round8(capacity) + round8(sequence) + 8) << 2);
  const ldo = <usize>(round8(headDim) << 2);
  const block = scratch + <usize>Q_BLOCK * lds;
  const sums = block + <usize>Q_BLOCK * ldo;
  const packed = sums + <usize>(Q_BLOCK << 2);
  const recent = scratch + <usize>(round8(past) << 2);
  const packedRecent = packed + <usize>((round8(past) * headDim) << 2);
  const few = sequence <= FEW;
  if (!few) {
    const stride = keyValueHeads * headDim;
    packTransposed(packed, keys + old, stride, past, headDim, F32, scale);
    packTransposed(packedRecent, newKeys, stride, sequence, headDim, F32, scale);
  }
  for (let i = 0; i < sequence; i += Q_BLOCK) {
    const m = min(Q_BLOCK, sequence - i);
    const first = max(0, firstKey(places, i, i + m - 1) + past & ~7);
    const n = round8(i + m - first);
    const queries = q + (token + <usize>i) * qStride + <usize>((head * headDim) << 2);
    if (few) {
      for (let r = 0; r < m; r++) {
        const s = <usize>r * lds;
        const query = queries + <usize>r * qStride;
        scoresInPlace(scratch + s, query, keys + old, kStride, past, headDim, scale);
        scoresInPlace(recent + s, query, newKeys, kStride, i + m, headDim, scale);
      }
    } else {
      multiplyRows(queries, qStride, m, packed, headDim, round8(past), scratch, lds, false, 0);
      const panel = <usize>((first * headDim) << 2);
      multiplyRows(queries, qStride, m, packedRecent + panel, headDim, n, recent, lds, false, 0);
    }
    for (let r = 0; r < m; r++) {
      const s = <usize>r * lds;
      const to = i + r + 1 - first;
      const from = to - 1 - (load<i32>(places + <usize>((i + r) << 2)) - past);
      let top = largest(recent + s, from, to);
      if (past > 0) top = max(top, largest(scratch + s, 0, past));
      let sum = exponentiate(recent + s, from, to, n, top);
      if (past > 0) sum += exponentiate(scratch + s, 0, past, round8(past), top);
      store<f32>(sums + <usize>(r << 2), 1 / sum);
    }
    if (past > 0) multiplyRowsInPlace(scratch, lds, m, values + old, kStride, past, headDim, block, ldo, false);
    const recentValues = newValues + <usize>first * kStride;
    multiplyRowsInPlace(recent, lds, m, recentValues, kStride, i + m - first, headDim, block, ldo, past > 0);
    for (let r = 0; r < m; r++) {
      const to = o + (token + <usize>(i + r)) * qStride + <usize>((head * headDim) << 2);
      copyScaled(to, block + <usize>r * ldo, headDim, load<f32>(sums + <usize>(r << 2)));
    }
  }
}
