import {
  A_STUDENT, A_TEACHER, A_TEMPERED, crossSums, FACTORS, FORWARD, JSD, L_TEACHER, L_TEMPERED, LABEL, lanes, logitsGradient,
  M_STUDENT, M_TEACHER, M_TEMPERED, MEAN, mixtureSums, NORMALISER, NOTHING, REVERSE, rowMax, rowSum,
} from './divergence';
import { BLOCK_BYTES, bytesOf } from './gemm';
import { product, productTransposed } from './linear';
import { exp, F32, log, sumLanes } from './simd';

/*
 * Cross-entropy and the divergence of teacher and student from hidden states, for a chunk of tokens at a time. Logits
 * of a chunk are stored in tiles of V_TILE vocabulary entries, [tile][tokens][V_TILE]. Kernels, in this order:
 *   joint_loss_logits         per vocabulary tile: both models' logits, and each token's softmax statistics in the tile
 *   joint_loss_rows           per token: statistics of all tiles combined in tile order -> ce, kl, gradient factors
 *   joint_loss_arg_max        per token, if asked for: the entry of the largest logit
 *   joint_loss_mixture        per vocabulary tile, JSD only: each token's sums of log(p / m), log(q / m) in the tile
 *   joint_loss_mixture_rows   per token, JSD only: those of all tiles -> kl, the factor that was missing
 *   joint_loss_gradient       per range of tiles: logits become their gradient G, then a partial d_hidden = G W
 *   joint_loss_reduce         partial d_hidden summed in order
 *   joint_loss_head_gradient  per vocabulary tile: its rows of d_head (+)= G^T h, if the head is trained
 * Logits exist from the chunk's first token that has a label to its last: of a prompt and its answer, only the answer's.
 */

/** Vocabulary entries of a tile. */
const V_TILE: i32 = 256;
/** The most columns that are packed at once. */
const COLUMNS: i32 = 128;
/** Tokens that are transposed at once for d_head: with a block of h they take 384 KiB of the L2 cache. */
const T_BLOCK: i32 = 256;
const ROW: usize = <usize>(V_TILE << 2);

/** Statistics, each f32 [tokens][tiles]: maximum m and sum l of e^(z - m); student, tempered student, teacher; A. */
const M_S: i32 = 0;
const L_S: i32 = 1;
const M_K: i32 = 2;
const L_K: i32 = 3;
const M_T: i32 = 4;
const L_T: i32 = 5;
/** FORWARD: sum e^(zt/tau - m_t) (zt - zs)/tau. REVERSE: sum e^(zs/tau - m_k) (zs - zt)/tau. */
const CROSS: i32 = 6;
const Z_LABEL: i32 = 7;
/** JSD, in place of statistics that have become factors: sums of l_t p log(p / m) and l_k q log(q / m). */
const MIXTURE_T: i32 = M_T;
const MIXTURE_S: i32 = M_K;

// @ts-ignore: decorator
@inline
function statistic(stats: usize, which: i32, tokens: i32, tiles: i32, token: i32, tile: i32): usize {
  return stats + <usize>(((which * tokens + token) * tiles + tile) << 2);
}

/** The chunk's first token with a label; `tokens` where none has. */
function firstLabelled(labels: usize, tokens: i32): i32 {
  let t = 0;
  while (t < tokens && load<i32>(labels + <usize>(t << 2)) < 0) t++;
  return t;
}

/** The number of tokens up to the chunk's last one with a label. */
function endLabelled(labels: usize, tokens: i32): i32 {
  let t = tokens;
  while (t > 0 && load<i32>(labels + <usize>((t - 1) << 2)) < 0) t--;
  return t;
}

/** Logits of one vocabulary tile: z [tokens, n] with rows of V_TILE, the rest of the last vector filled with -1e30. */
function tileLogits(
  scratch: usize, hidden: usize, tokens: i32, d: i32, head: usize, dtype: i32, first: i32, n: i32, z: usize,
): void {
  for (let j = 0; j < n; j += COLUMNS) {
    const w = head + <usize>(first + j) * <usize>d * bytesOf(dtype);
    productTransposed(scratch, hidden, tokens, d, w, dtype, min(COLUMNS, n - j), z + <usize>(j << 2), ROW, 1, false);
  }
  if ((n & 3) == 0) return;
  for (let t = 0; t < tokens; t++) {
    for (let j = n; (j & 3) != 0; j++) store<f32>(z + <usize>t * ROW + <usize>(j << 2), NOTHING);
  }
}

export function joint_loss_logits(
  tile: i32, scratch: usize, tokens: i32, labels: usize, hidden: usize, d: i32, head: usize, dtype: i32, vocabulary: i32,
  tHidden: usize, tD: i32, tHead: usize, tDtype: i32, shared: i32, divergence: i32, inverseTau: f32, zs: usize, zt: usize,
  stats: usize, tiles: i32,
): void {
  const first = tile * V_TILE;
  const n = min(V_TILE, vocabulary - first);
  const nShared = tHidden ? max(0, min(V_TILE, shared - first)) : 0;
  const z = zs + <usize>tile * <usize>tokens * ROW;
  const y = zt + <usize>tile * <usize>tokens * ROW;
  const from = firstLabelled(labels, tokens);
  const count = endLabelled(labels, tokens) - from;
  if (count <= 0) return;
  const start = <usize>from * ROW;
  tileLogits(scratch, hidden + <usize>from * <usize>(d << 2), count, d, head, dtype, first, n, z + start);
  if (nShared > 0) {
    tileLogits(scratch, tHidden + <usize>from * <usize>(tD << 2), count, tD, tHead, tDtype, first, nShared, y + start);
  }
  for (let t = from; t < from + count; t++) {
    const s = z + <usize>t * ROW;
    const m = rowMax(s, n, 1);
    const l = rowSum(s, n, 1, m);
    store<f32>(statistic(stats, M_S, tokens, tiles, t, tile), m);
    store<f32>(statistic(stats, L_S, tokens, tiles, t, tile), l);
    const label = load<i32>(labels + <usize>(t << 2)) - first;
    if (label >= 0 && label < n) {
      store<f32>(statistic(stats, Z_LABEL, tokens, tiles, t, 0), load<f32>(s + <usize>(label << 2)));
    }
    if (tHidden) {
      const same = inverseTau == 1 && nShared == n;
      sharedStatistics(divergence, s, y + <usize>t * ROW, nShared, inverseTau, same, m, l, stats, tokens, tiles, t, tile);
    }
  }
}

/** Statistics of the shared entries: the tempered student's are those of the student, m and l, where nothing differs. */
function sharedStatistics(
  divergence: i32, s: usize, y: usize, n: i32, inverseTau: f32, same: bool, m: f32, l: f32, stats: usize, tokens: i32,
  tiles: i32, t: i32, tile: i32,
): void {
  const mK = same ? m : rowMax(s, n, inverseTau);
  const mT = rowMax(y, n, inverseTau);
  store<f32>(statistic(stats, M_K, tokens, tiles, t, tile), mK);
  store<f32>(statistic(stats, M_T, tokens, tiles, t, tile), mT);
  const lK = statistic(stats, L_K, tokens, tiles, t, tile);
  const lT = statistic(stats, L_T, tokens, tiles, t, tile);
  const cross = statistic(stats, CROSS, tokens, tiles, t, tile);
  if (divergence == REVERSE) crossSums(s, y, n, inverseTau, mK, lK, cross);
  else store<f32>(lK, same ? l : rowSum(s, n, inverseTau, mK));
  if (divergence == FORWARD) crossSums(y, s, n, inverseTau, mT, lT, cross);
  else store<f32>(lT, rowSum(y, n, inverseTau, mT));
}

/** sum over tiles of value_i e^(m_i - m), in tile order in each of four lanes. */
function combine(m: usize, value: usize, tiles: i32, largest: f32): f32 {
  let sum = f32x4.splat(0);
  for (let i = 0; i < tiles; i += 4) {
    const at = <usize>(i << 2);
    const e = exp(f32x4.sub(v128.load(m + at), f32x4.splat(largest)));
    const term = f32x4.mul(e, v128.load(value + at));
    sum = f32x4.add(sum, v128.and(term, lanes(tiles - i)));
  }
  return sumLanes(sum);
}

/** One tile = rowsPerTile tokens. lossScale f32 [1] multiplies the gradient; 0 is none. */
export function joint_loss_rows(
  tile: i32, scratch: usize, rowsPerTile: i32, tokens: i32, labels: usize, stats: usize, tiles: i32, hasTeacher: i32,
  divergence: i32, beta: f32, tau: f32, ceWeight: f32, klWeight: f32, lossScale: usize, ce: usize, kl: usize,
  factors: usize,
): void {
  const scale: f32 = lossScale ? load<f32>(lossScale) : 1;
  const ceScaled = scale * ceWeight;
  const klScaled = scale * (divergence == JSD ? klWeight * (1 - beta) : klWeight);
  const end = min(tokens, (tile + 1) * rowsPerTile);
  for (let t = tile * rowsPerTile; t < end; t++) {
    const f = factors + <usize>t * FACTORS;
    memory.fill(f, 0, FACTORS);
    store<f32>(ce + <usize>(t << 2), 0);
    store<f32>(kl + <usize>(t << 2), 0);
    if (load<i32>(labels + <usize>(t << 2)) < 0) continue;
    const mS = rowMax(statistic(stats, M_S, tokens, tiles, t, 0), tiles, 1);
    const lS = combine(
      statistic(stats, M_S, tokens, tiles, t, 0), statistic(stats, L_S, tokens, tiles, t, 0), tiles, mS,
    );
    const zLabel = load<f32>(statistic(stats, Z_LABEL, tokens, tiles, t, 0));
    store<f32>(ce + <usize>(t << 2), <f32>(<f64>mS - <f64>zLabel + log(<f64>lS)));
    store<f32>(f, mS, M_STUDENT);
    store<f32>(f, ceScaled / lS, A_STUDENT);
    store<f32>(f, ceScaled, LABEL);
    if (hasTeacher) sharedRow(divergence, f, stats, tokens, tiles, t, tau, klScaled, kl + <usize>(t << 2));
  }
}

/** One tile = rowsPerTile tokens. The first of equal logits; -100 where the label is negative. */
export function joint_loss_arg_max(
  tile: i32, scratch: usize, rowsPerTile: i32, tokens: i32, labels: usize, vocabulary: i32, zs: usize, stats: usize,
  tiles: i32, out: usize,
): void {
  const end = min(tokens, (tile + 1) * rowsPerTile);
  for (let t = tile * rowsPerTile; t < end; t++) {
    let largest = -100;
    if (load<i32>(labels + <usize>(t << 2)) >= 0) {
      const maxima = statistic(stats, M_S, tokens, tiles, t, 0);
      const m = rowMax(maxima, tiles, 1);
      const v = firstEqual(maxima, tiles, m);
      const z = zs + <usize>v * <usize>tokens * ROW + <usize>t * ROW;
      largest = v * V_TILE + firstEqual(z, min(V_TILE, vocabulary - v * V_TILE), m);
    }
    store<i32>(out + <usize>(t << 2), largest);
  }
}

/** The place of the first of n numbers that is m; the last one where none is, as among NaNs. */
function firstEqual(values: usize, n: i32, m: f32): i32 {
  let i = 0;
  while (i < n - 1 && load<f32>(values + <usize>(i << 2)) != m) i++;
  return i;
}

/** kl is weighted by tau^2, and so is its gradient (hence w tau, not w / tau). JSD has its kl from the mixture. */
function sharedRow(
  divergence: i32, f: usize, stats: usize, tokens: i32, tiles: i32, t: i32, tau: f32, weight: f32, kl: usize,
): void {
  const mks = statistic(stats, M_K, tokens, tiles, t, 0);
  const mts = statistic(stats, M_T, tokens, tiles, t, 0);
  const mK = rowMax(mks, tiles, 1);
  const mT = rowMax(mts, tiles, 1);
  const lK = combine(mks, statistic(stats, L_K, tokens, tiles, t, 0), tiles, mK);
  const lT = combine(mts, statistic(stats, L_T, tokens, tiles, t, 0), tiles, mT);
  store<f32>(f, mK, M_TEMPERED);
  store<f32>(f, (weight * tau) / lK, A_TEMPERED);
  store<f32>(f, mT, M_TEACHER);
  store<f32>(f, (weight * tau) / lT, A_TEACHER);
  const normaliser = <f64>mT - <f64>mK + (log(<f64>lT) - log(<f64>lK));
  store<f32>(f, <f32>normaliser, NORMALISER);
  store<f32>(f, lK, L_TEMPERED);
  store<f32>(f, lT, L_TEACHER);
  if (divergence == JSD) return;
  const cross = statistic(stats, CROSS, tokens, tiles, t, 0);
  const forward = divergence == FORWARD;
  const mean = forward
    ? <f64>combine(mts, cross, tiles, mT) / <f64>lT
    : <f64>combine(mks, cross, tiles, mK) / <f64>lK;
  store<f32>(f, <f32>mean, MEAN);
  store<f32>(kl, <f32>(<f64>tau * <f64>tau * (forward ? mean - normaliser : mean + normaliser)));
}

export function joint_loss_mixture(
  tile: i32, scratch: usize, tokens: i32, labels: usize, shared: i32, inverseTau: f32, beta: f32, zs: usize, zt: usize,
  factors: usize, stats: usize, tiles: i32,
): void {
  const n = min(V_TILE, shared - tile * V_TILE);
  const z = zs + <usize>tile * <usize>tokens * ROW;
  const y = zt + <usize>tile * <usize>tokens * ROW;
  for (let t = 0; t < tokens; t++) {
    if (load<i32>(labels + <usize>(t << 2)) < 0) continue;
    const teacher = statistic(stats, MIXTURE_T, tokens, tiles, t, tile);
    const student = statistic(stats, MIXTURE_S, tokens, tiles, t, tile);
    const row = <usize>t * ROW;
    mixtureSums(z + row, y + row, n, inverseTau, beta, factors + <usize>t * FACTORS, teacher, student);
  }
}

/** One tile = rowsPerTile tokens; the first `sharedTiles` of the tiles have sums. */
export function joint_loss_mixture_rows(
  tile: i32, scratch: usize, rowsPerTile: i32, tokens: i32, labels: usize, stats: usize, tiles: i32, sharedTiles: i32,
  tau: f32, beta: f32, kl: usize, factors: usize,
): void {
  const end = min(tokens, (tile + 1) * rowsPerTile);
  for (let t = tile * rowsPerTile; t < end; t++) {
    if (load<i32>(labels + <usize>(t << 2)) < 0) continue;
    const f = factors + <usize>t * FACTORS;
    let teacher: f64 = 0;
    let student: f64 = 0;
    for (let i = 0; i < sharedTiles; i++) {
      teacher += <f64>load<f32>(statistic(stats, MIXTURE_T, tokens, tiles, t, i));
      student += <f64>load<f32>(statistic(stats, MIXTURE_S, tokens, tiles, t, i));
    }
    teacher /= <f64>load<f32>(f, L_TEACHER);
    student /= <f64>load<f32>(f, L_TEMPERED);
    store<f32>(f, <f32>student, MEAN);
    const divergence = <f64>beta * teacher + (1 - <f64>beta) * student;
    store<f32>(kl + <usize>(t << 2), <f32>(<f64>tau * <f64>tau * divergence));
  }
}

/** One tile = `range` vocabulary tiles, whose part of d_hidden [tokens, d] goes to partials[tile]. */
export function joint_loss_gradient(
  tile: i32, scratch: usize, range: i32, tokens: i32, labels: usize, d: i32, head: usize, dtype: i32, vocabulary: i32,
  hasTeacher: i32, shared: i32, divergence: i32, beta: f32, inverseTau: f32, zs: usize, zt: usize, factors: usize,
  partials: usize, tiles: i32,
): void {
  const end = min(tiles, (tile + 1) * range);
  const same = hasTeacher != 0 && inverseTau == 1 && shared == vocabulary;
  const from = firstLabelled(labels, tokens);
  const count = endLabelled(labels, tokens) - from;
  if (count <= 0) return;
  const out = partials + <usize>(tile * tokens + from) * <usize>(d << 2);
  for (let v = tile * range; v < end; v++) {
    const first = v * V_TILE;
    const n = min(V_TILE, vocabulary - first);
    const nShared = hasTeacher ? max(0, min(V_TILE, shared - first)) : 0;
    const z = zs + <usize>v * <usize>tokens * ROW;
    const y = zt + <usize>v * <usize>tokens * ROW;
    for (let t = from; t < from + count; t++) {
      const f = factors + <usize>t * FACTORS;
      const row = z + <usize>t * ROW;
      logitsGradient(divergence, row, y + <usize>t * ROW, n, nShared, inverseTau, beta, same, f);
      const label = load<i32>(labels + <usize>(t << 2)) - first;
      if (label < 0 || label >= n) continue;
      const at = row + <usize>(label << 2);
      store<f32>(at, load<f32>(at) - load<f32>(f, LABEL));
    }
    for (let j = 0; j < d; j += COLUMNS) {
      const w = head + (<usize>first * <usize>d + <usize>j) * bytesOf(dtype);
      product(
        scratch, z + <usize>from * ROW, ROW, count, n, w, d, dtype, min(COLUMNS, d - j), out + <usize>(j << 2),
        <usize>(d << 2), 1, v > tile * range,
      );
    }
  }
}

/** d_hidden = the sum of `count` partials, in order, 0 without logits; one tile = rowsPerTile tokens. */
export function joint_loss_reduce(
  tile: i32, scratch: usize, rowsPerTile: i32, tokens: i32, labels: usize, d: i32, partials: usize, count: i32,
  dHidden: usize,
): void {
  const first = tile * rowsPerTile;
  const end = min(tokens, first + rowsPerTile);
  const from = min(end, max(first, firstLabelled(labels, tokens)));
  const to = max(from, min(end, endLabelled(labels, tokens)));
  const row = <usize>(d << 2);
  memory.fill(dHidden + <usize>first * row, 0, <usize>(from - first) * row);
  sumPartials(from * d, to * d, <usize>tokens * row, partials, count, dHidden);
  memory.fill(dHidden + <usize>to * row, 0, <usize>(end - to) * row);
}

/** out[i] = the sum of `count` numbers `stride` bytes apart, from <= i < to. */
function sumPartials(from: i32, to: i32, stride: usize, partials: usize, count: i32, out: usize): void {
  let i = from;
  for (; i + 4 <= to; i += 4) {
    let at = partials + <usize>(i << 2);
    let sum = v128.load(at);
    for (let k = 1; k < count; k++) {
      at += stride;
      sum = f32x4.add(sum, v128.load(at));
    }
    v128.store(out + <usize>(i << 2), sum);
  }
  for (; i < to; i++) {
    let at = partials + <usize>(i << 2);
    let sum = load<f32>(at);
    for (let k = 1; k < count; k++) {
      at += stride;
      sum += load<f32>(at);
    }
    store<f32>(out + <usize>(i << 2), sum);
  }
}

/**
 * d_head [vocabulary, d] (+)= G^T h, with G in place of the logits; one tile = one vocabulary tile. Every element is one
 * chain of FMAs over the tokens in order, which the next chunk continues: its bits depend on neither.
 */
export function joint_loss_head_gradient(
  tile: i32, scratch: usize, tokens: i32, labels: usize, hidden: usize, d: i32, vocabulary: i32, zs: usize,
  dHead: usize, accumulate: i32,
): void {
  const first = tile * V_TILE;
  const n = min(V_TILE, vocabulary - first);
  const g = zs + <usize>tile * <usize>tokens * ROW;
  const transposed = scratch + BLOCK_BYTES;
  const out = dHead + <usize>first * <usize>(d << 2);
  const from = firstLabelled(labels, tokens);
  const end = endLabelled(labels, tokens);
  if (from >= end && !accumulate) memory.fill(out, 0, <usize>n * <usize>(d << 2));
  for (let t = from; t < end; t += T_BLOCK) {
    const depth = min(T_BLOCK, end - t);
    transpose(g + <usize>t * ROW, depth, n, transposed);
    for (let j = 0; j < d; j += COLUMNS) {
      const h = hidden + ((<usize>t * <usize>d + <usize>j) << 2);
      const c = out + <usize>(j << 2);
      product(
        scratch, transposed, <usize>(T_BLOCK << 2), n, depth, h, d, F32, min(COLUMNS, d - j), c, <usize>(d << 2), 1,
        accumulate != 0 || t > from,
      );
    }
  }
}

/** The first n columns of g [tokens, V_TILE] as rows of T_BLOCK; whole vectors, so that what lies beyond is arbitrary. */
function transpose(g: usize, tokens: i32, n: i32, out: usize): void {
  for (let t = 0; t < tokens; t += 4) {
    const g0 = g + <usize>t * ROW;
    const g1 = t + 1 < tokens ? g0 + ROW : g0;
    const g2 = t + 2 < tokens ? g1 + ROW : g0;
    const g3 = t + 3 < tokens ? g2 + ROW : g0;
    for (let j = 0; j < n; j += 4) {
      const at = <usize>(j << 2);
      const r0 = v128.load(g0 + at), r1 = v128.load(g1 + at), r2 = v128.load(g2 + at), r3 = v128.load(g3 + at);
      const t0 = v128.shuffle<i32>(r0, r1, 0, 4, 1, 5);
      const t1 = v128.shuffle<i32>(r0, r1, 2, 6, 3, 7);
      const t2 = v128.shuffle<i32>(r2, r3, 0, 4, 1, 5);
      const t3 = v128.shuffle<i32>(r2, r3, 2, 6, 3, 7);
      const to = out + <usize>((j * T_BLOCK + t) << 2);
      v128.store(to, v128.shuffle<i64>(t0, t2, 0, 2));
      v128.store(to + <usize>(T_BLOCK << 2), v128.shuffle<i64>(t0, t2, 1, 3));
      v128.store(to + <usize>(T_BLOCK << 3), v128.shuffle<i64>(t1, t3, 0, 2));
      v128.store(to + <usize>(T_BLOCK * 12), v128.shuffle<i64>(t1, t3, 1, 3));
    }
  }
}
