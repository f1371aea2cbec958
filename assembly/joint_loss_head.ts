import { bytesOf } from './gemm';
import { product, productTransposed } from './linear';
import { exp, fma, log, maxLanes, sumLanes } from './simd';

/*
 * Cross-entropy and KL(teacher || student) from hidden states, for a chunk of tokens at a time. Logits of a chunk are
 * stored in tiles of V_TILE vocabulary entries, [tile][tokens][V_TILE]. Four kernels, in this order:
 *   joint_loss_logits    per vocabulary tile: both models' logits, and each token's softmax statistics in the tile
 *   joint_loss_rows      per token: statistics of all tiles combined in tile order -> ce, kl, gradient factors
 *   joint_loss_gradient  per range of tiles: logits become their gradient G, then a partial d_hidden = G W
 *   joint_loss_reduce    partial d_hidden summed in order
 */

/** Vocabulary entries of a tile. */
const V_TILE: i32 = 256;
/** The most columns that are packed at once. */
const COLUMNS: i32 = 128;
const ROW: usize = <usize>(V_TILE << 2);
const NOTHING: f32 = -1e30;

/** Statistics, each f32 [tokens][tiles]: maximum m and sum l of e^(z - m); student, tempered student, teacher; A. */
const M_S: i32 = 0;
const L_S: i32 = 1;
const M_K: i32 = 2;
const L_K: i32 = 3;
const M_T: i32 = 4;
const L_T: i32 = 5;
/** sum e^(zt/tau - m_t) (zt - zs)/tau. */
const CROSS: i32 = 6;
const Z_LABEL: i32 = 7;

/** Per token, 8 f32: m and factor of e^(z - m) in G for student (CE), tempered student, teacher; then the label's. */
const FACTORS: i32 = 8;

// @ts-ignore: decorator
@inline
function statistic(stats: usize, which: i32, tokens: i32, tiles: i32, token: i32, tile: i32): usize {
  return stats + <usize>(((which * tokens + token) * tiles + tile) << 2);
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

/** The largest of the first n of z * scale. */
function rowMax(z: usize, n: i32, scale: f32): f32 {
  let m = f32x4.splat(NOTHING);
  let j = 0;
  for (; j + 4 <= n; j += 4) m = f32x4.pmax(m, v128.load(z + <usize>(j << 2)));
  let largest = maxLanes(m);
  for (; j < n; j++) largest = max(largest, load<f32>(z + <usize>(j << 2)));
  return largest * scale;
}

/** sum e^(z scale - m) over the first n; lanes beyond n count as nothing. */
function rowSum(z: usize, n: i32, scale: f32, m: f32): f32 {
  const s = f32x4.splat(scale);
  const negative = f32x4.splat(-m);
  let l = f32x4.splat(0);
  for (let j = 0; j < n; j += 4) {
    l = f32x4.add(l, v128.and(exp(fma(v128.load(z + <usize>(j << 2)), s, negative)), lanes(n - j)));
  }
  return sumLanes(l);
}

// @ts-ignore: decorator
@inline
function lanes(count: i32): v128 {
  return i32x4.gt_s(i32x4.splat(count), i32x4(0, 1, 2, 3));
}

export function joint_loss_logits(
  tile: i32, scratch: usize, tokens: i32, labels: usize, hidden: usize, d: i32, head: usize, dtype: i32, vocabulary: i32,
  tHidden: usize, tD: i32, tHead: usize, tDtype: i32, shared: i32, inverseTau: f32, zs: usize, zt: usize, stats: usize,
  tiles: i32,
): void {
  const first = tile * V_TILE;
  const n = min(V_TILE, vocabulary - first);
  const nShared = tHidden ? max(0, min(V_TILE, shared - first)) : 0;
  const z = zs + <usize>tile * <usize>tokens * ROW;
  const y = zt + <usize>tile * <usize>tokens * ROW;
  tileLogits(scratch, hidden, tokens, d, head, dtype, first, n, z);
  if (nShared > 0) tileLogits(scratch, tHidden, tokens, tD, tHead, tDtype, first, nShared, y);
  for (let t = 0; t < tokens; t++) {
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
      teacherStatistics(s, y + <usize>t * ROW, nShared, inverseTau, same, m, l, stats, tokens, tiles, t, tile);
    }
  }
}

/** Statistics of the shared entries: the tempered student's are those of the student where nothing differs. */
function teacherStatistics(
  s: usize, y: usize, n: i32, inverseTau: f32, same: bool, m: f32, l: f32, stats: usize, tokens: i32, tiles: i32, t: i32,
  tile: i32,
): void {
  let mK = m;
  let lK = l;
  if (!same) {
    mK = rowMax(s, n, inverseTau);
    lK = rowSum(s, n, inverseTau, mK);
  }
  const mT = rowMax(y, n, inverseTau);
  const scale = f32x4.splat(inverseTau);
  const negative = f32x4.splat(-mT);
  let lT = f32x4.splat(0);
  let cross = f32x4.splat(0);
  for (let j = 0; j < n; j += 4) {
    const b = v128.load(y + <usize>(j << 2));
    const e = v128.and(exp(fma(b, scale, negative)), lanes(n - j));
    lT = f32x4.add(lT, e);
    cross = fma(e, f32x4.sub(b, v128.load(s + <usize>(j << 2))), cross);
  }
  store<f32>(statistic(stats, M_K, tokens, tiles, t, tile), mK);
  store<f32>(statistic(stats, L_K, tokens, tiles, t, tile), lK);
  store<f32>(statistic(stats, M_T, tokens, tiles, t, tile), mT);
  store<f32>(statistic(stats, L_T, tokens, tiles, t, tile), sumLanes(lT));
  store<f32>(statistic(stats, CROSS, tokens, tiles, t, tile), sumLanes(cross) * inverseTau);
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

/** One tile = rowsPerTile tokens. kl is weighted by tau^2, and so is its gradient (hence w tau, not w / tau). */
export function joint_loss_rows(
  tile: i32, scratch: usize, rowsPerTile: i32, tokens: i32, labels: usize, stats: usize, tiles: i32, hasTeacher: i32,
  tau: f32, ceWeight: f32, klWeight: f32, ce: usize, kl: usize, factors: usize,
): void {
  const end = min(tokens, (tile + 1) * rowsPerTile);
  for (let t = tile * rowsPerTile; t < end; t++) {
    const f = factors + <usize>((t * FACTORS) << 2);
    memory.fill(f, 0, FACTORS << 2);
    store<f32>(ce + <usize>(t << 2), 0);
    store<f32>(kl + <usize>(t << 2), 0);
    if (load<i32>(labels + <usize>(t << 2)) < 0) continue;
    const mS = rowMax(statistic(stats, M_S, tokens, tiles, t, 0), tiles, 1);
    const lS = combine(
      statistic(stats, M_S, tokens, tiles, t, 0), statistic(stats, L_S, tokens, tiles, t, 0), tiles, mS,
    );
    const zLabel = load<f32>(statistic(stats, Z_LABEL, tokens, tiles, t, 0));
    store<f32>(ce + <usize>(t << 2), <f32>(<f64>mS - <f64>zLabel + log(<f64>lS)));
    store<f32>(f, mS);
    store<f32>(f, ceWeight / lS, 4);
    store<f32>(f, ceWeight, 24);
    if (hasTeacher) teacherRow(f, stats, tokens, tiles, t, tau, klWeight, kl + <usize>(t << 2));
  }
}

function teacherRow(
  f: usize, stats: usize, tokens: i32, tiles: i32, t: i32, tau: f32, klWeight: f32, kl: usize,
): void {
  const mks = statistic(stats, M_K, tokens, tiles, t, 0);
  const mts = statistic(stats, M_T, tokens, tiles, t, 0);
  const mK = rowMax(mks, tiles, 1);
  const mT = rowMax(mts, tiles, 1);
  const lK = combine(mks, statistic(stats, L_K, tokens, tiles, t, 0), tiles, mK);
  const lT = combine(mts, statistic(stats, L_T, tokens, tiles, t, 0), tiles, mT);
  const cross = combine(mts, statistic(stats, CROSS, tokens, tiles, t, 0), tiles, mT);
  const divergence = <f64>cross / <f64>lT - (<f64>mT - <f64>mK) - (log(<f64>lT) - log(<f64>lK));
  store<f32>(kl, <f32>(<f64>tau * <f64>tau * divergence));
  store<f32>(f, mK, 8);
  store<f32>(f, (klWeight * tau) / lK, 12);
  store<f32>(f, mT, 16);
  store<f32>(f, (klWeight * tau) / lT, 20);
}

/** z (student logits of a tile) becomes dL/dz: a_s e^(z - m_s) + a_k e^(z/tau - m_k) - a_t e^(zt/tau - m_t). */
function logitsGradient(
  z: usize, y: usize, n: i32, nShared: i32, inverseTau: f32, same: bool, f: usize, label: i32,
): void {
  const mS = v128.load32_splat(f);
  const scale = f32x4.splat(inverseTau);
  const mK = f32x4.neg(v128.load32_splat(f, 8));
  const mT = f32x4.neg(v128.load32_splat(f, 16));
  const aK = v128.load32_splat(f, 12);
  const aT = v128.load32_splat(f, 20);
  let aS = v128.load32_splat(f, 4);
  if (same) aS = f32x4.add(aS, aK);
  for (let j = 0; j < n; j += 4) {
    const at = <usize>(j << 2);
    const x = v128.load(z + at);
    let g = f32x4.mul(exp(f32x4.sub(x, mS)), aS);
    if (j < nShared) {
      let shared = f32x4.mul(exp(fma(v128.load(y + at), scale, mT)), aT);
      if (!same) shared = f32x4.sub(shared, f32x4.mul(exp(fma(x, scale, mK)), aK));
      g = f32x4.sub(g, v128.and(shared, lanes(nShared - j)));
    }
    v128.store(z + at, g);
  }
  if (label >= 0 && label < n) {
    const at = z + <usize>(label << 2);
    store<f32>(at, load<f32>(at) - load<f32>(f, 24));
  }
}

/** One tile = `range` vocabulary tiles, whose part of d_hidden [tokens, d] goes to partials[tile]. */
export function joint_loss_gradient(
  tile: i32, scratch: usize, range: i32, tokens: i32, labels: usize, d: i32, head: usize, dtype: i32, vocabulary: i32,
  hasTeacher: i32, shared: i32, inverseTau: f32, zs: usize, zt: usize, factors: usize, partials: usize, tiles: i32,
): void {
  const out = partials + <usize>tile * <usize>tokens * <usize>(d << 2);
  const end = min(tiles, (tile + 1) * range);
  const same = hasTeacher != 0 && inverseTau == 1 && shared == vocabulary;
  for (let v = tile * range; v < end; v++) {
    const first = v * V_TILE;
    const n = min(V_TILE, vocabulary - first);
    const nShared = hasTeacher ? max(0, min(V_TILE, shared - first)) : 0;
    const z = zs + <usize>v * <usize>tokens * ROW;
    const y = zt + <usize>v * <usize>tokens * ROW;
    for (let t = 0; t < tokens; t++) {
      const label = load<i32>(labels + <usize>(t << 2)) - first;
      const f = factors + <usize>((t * FACTORS) << 2);
      logitsGradient(z + <usize>t * ROW, y + <usize>t * ROW, n, nShared, inverseTau, same, f, label);
    }
    for (let j = 0; j < d; j += COLUMNS) {
      const w = head + (<usize>first * <usize>d + <usize>j) * bytesOf(dtype);
      product(
        scratch, z, ROW, tokens, n, w, d, dtype, min(COLUMNS, d - j), out + <usize>(j << 2), <usize>(d << 2), 1,
        v > tile * range,
      );
    }
  }
}

/** d_hidden = the sum of `count` partials, in order; one tile = rowsPerTile tokens. */
export function joint_loss_reduce(
  tile: i32, scratch: usize, rowsPerTile: i32, tokens: i32, d: i32, partials: usize, count: i32, dHidden: usize,
): void {
  const first = tile * rowsPerTile * d;
  const end = min(tokens * d, first + rowsPerTile * d);
  const stride = <usize>tokens * <usize>(d << 2);
  let i = first;
  for (; i + 4 <= end; i += 4) {
    let from = partials + <usize>(i << 2);
    let sum = v128.load(from);
    for (let k = 1; k < count; k++) {
      from += stride;
      sum = f32x4.add(sum, v128.load(from));
    }
    v128.store(dHidden + <usize>(i << 2), sum);
  }
  for (; i < end; i++) {
    let from = partials + <usize>(i << 2);
    let sum = load<f32>(from);
    for (let k = 1; k < count; k++) {
      from += stride;
      sum += load<f32>(from);
    }
    store<f32>(dHidden + <usize>(i << 2), sum);
  }
}
