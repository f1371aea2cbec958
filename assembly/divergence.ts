import { exp, fma, maxLanes, sumLanes } from './simd';

/*
 * The divergence of teacher p from student q over n entries of a token's logits: p = softmax(y / tau),
 * q = softmax(x / tau). Rows of logits have room for whole vectors; what lies there beyond n counts as nothing.
 * Everything is a function of differences of logits, so that no probability, however small, is divided by.
 */

/** src/program/ops/joint_loss_head.ts: DIVERGENCES. */
export const FORWARD: i32 = 0;
export const REVERSE: i32 = 1;
export const JSD: i32 = 2;

/** Less than any logit; e^(NOTHING - m) is 0. */
export const NOTHING: f32 = -1e30;

/** Bytes of one token's factors, f32 each at these offsets; all 0 where the label is ignored. */
export const FACTORS: usize = 48;
/** Maximum m of the student's logits z, and a_s such that the gradient of CE is a_s e^(z - m), less LABEL. */
export const M_STUDENT: usize = 0;
export const A_STUDENT: usize = 4;
/** The same of the tempered student, z / tau: a_k e^(z / tau - m) is q times the weight of its gradient. */
export const M_TEMPERED: usize = 8;
export const A_TEMPERED: usize = 12;
/** And of the teacher. */
export const M_TEACHER: usize = 16;
export const A_TEACHER: usize = 20;
/** What the gradient of the label's own logit is less by. */
export const LABEL: usize = 24;
/** The mean under q that the gradient is centred on: of (x - y) / tau (REVERSE) or of log q / m (JSD). */
export const MEAN: usize = 28;
/** log sum e^(y / tau) - log sum e^(x / tau). */
export const NORMALISER: usize = 32;
/** sum e^(x / tau - m), sum e^(y / tau - m). */
export const L_TEMPERED: usize = 36;
export const L_TEACHER: usize = 40;

/** All ones in the first `count` lanes. */
// @ts-ignore: decorator
@inline
export function lanes(count: i32): v128 {
  return i32x4.gt_s(i32x4.splat(count), i32x4(0, 1, 2, 3));
}

/** The largest of the first n of z * scale. */
export function rowMax(z: usize, n: i32, scale: f32): f32 {
  let m = f32x4.splat(NOTHING);
  let j = 0;
  for (; j + 4 <= n; j += 4) m = f32x4.pmax(m, v128.load(z + <usize>(j << 2)));
  let largest = maxLanes(m);
  for (; j < n; j++) largest = max(largest, load<f32>(z + <usize>(j << 2)));
  return largest * scale;
}

/** sum e^(z scale - m) over the first n. */
export function rowSum(z: usize, n: i32, scale: f32, m: f32): f32 {
  const s = f32x4.splat(scale);
  const negative = f32x4.splat(-m);
  let l = f32x4.splat(0);
  for (let j = 0; j < n; j += 4) {
    l = f32x4.add(l, v128.and(exp(fma(v128.load(z + <usize>(j << 2)), s, negative)), lanes(n - j)));
  }
  return sumLanes(l);
}

/** Stores l = sum e^(a scale - m) and cross = sum e^(a scale - m) (a - b) scale over the first n. */
export function crossSums(a: usize, b: usize, n: i32, scale: f32, m: f32, l: usize, cross: usize): void {
  const s = f32x4.splat(scale);
  const negative = f32x4.splat(-m);
  let sum = f32x4.splat(0);
  let weighted = f32x4.splat(0);
  for (let j = 0; j < n; j += 4) {
    const x = v128.load(a + <usize>(j << 2));
    const e = v128.and(exp(fma(x, s, negative)), lanes(n - j));
    sum = f32x4.add(sum, e);
    weighted = fma(e, f32x4.sub(x, v128.load(b + <usize>(j << 2))), weighted);
  }
  store<f32>(l, sumLanes(sum));
  store<f32>(cross, sumLanes(weighted) * scale);
}

/** Stores the sums over the first n, in nats, of p L_T log(p / m) and q L_K log(q / m), m = beta p + (1 - beta) q. */
export function mixtureSums(
  x: usize, y: usize, n: i32, scale: f32, beta: f32, f: usize, teacher: usize, student: usize,
): void {
  const s = f32x4.splat(scale);
  const mK = f32x4.neg(v128.load32_splat(f, M_TEMPERED));
  const mT = f32x4.neg(v128.load32_splat(f, M_TEACHER));
  const normaliser = f32x4.neg(v128.load32_splat(f, NORMALISER));
  let p = f32x4.splat(0);
  let q = f32x4.splat(0);
  for (let j = 0; j < n; j += 4) {
    const a = v128.load(x + <usize>(j << 2));
    const b = v128.load(y + <usize>(j << 2));
    const ratio = fma(f32x4.sub(b, a), s, normaliser);
    const mixture = logMixture(ratio, beta);
    const inside = lanes(n - j);
    p = fma(v128.and(exp(fma(b, s, mT)), inside), f32x4.sub(ratio, mixture), p);
    q = fma(v128.and(exp(fma(a, s, mK)), inside), f32x4.neg(mixture), q);
  }
  store<f32>(teacher, sumLanes(p));
  store<f32>(student, sumLanes(q));
}

/** log(m / q) = log(beta e^r + 1 - beta) for r = log(p / q), exactly 0 for r = 0; the larger of p, q is factored out. */
// @ts-ignore: decorator
@inline
function logMixture(r: v128, beta: f32): v128 {
  const zero = f32x4.splat(0);
  const ofTeacher = f32x4.splat(beta);
  const ofStudent = f32x4.splat(1 - beta);
  const positive = f32x4.gt(r, zero);
  const smaller = v128.bitselect(ofStudent, ofTeacher, positive);
  const larger = v128.bitselect(ofTeacher, ofStudent, positive);
  const e = exp(f32x4.neg(f32x4.abs(r)));
  return f32x4.add(f32x4.pmax(zero, r), log4(fma(smaller, e, larger)));
}

const SQRT_HALF: i32 = 0x3f3504f3;

/** The natural logarithm lane by lane of normal x > 0, within 1e-7 of it or 1 unit in the last place: Cephes logf. */
// @ts-ignore: decorator
@inline
function log4(x: v128): v128 {
  const bits = i32x4.sub(x, i32x4.splat(SQRT_HALF));
  const e = f32x4.convert_i32x4_s(i32x4.shr_s(bits, 23));
  const mantissa = i32x4.add(v128.and(bits, i32x4.splat(0x007fffff)), i32x4.splat(SQRT_HALF));
  const m = f32x4.sub(mantissa, f32x4.splat(1));
  let p = fma(m, f32x4.splat(7.0376836292e-2), f32x4.splat(-1.1514610310e-1));
  p = fma(m, p, f32x4.splat(1.1676998740e-1));
  p = fma(m, p, f32x4.splat(-1.2420140846e-1));
  p = fma(m, p, f32x4.splat(1.4249322787e-1));
  p = fma(m, p, f32x4.splat(-1.6668057665e-1));
  p = fma(m, p, f32x4.splat(2.0000714765e-1));
  p = fma(m, p, f32x4.splat(-2.4999993993e-1));
  p = fma(m, p, f32x4.splat(3.3333331174e-1));
  const square = f32x4.mul(m, m);
  let tail = f32x4.mul(f32x4.mul(m, square), p);
  tail = fma(e, f32x4.splat(-2.12194440e-4), tail);
  tail = fma(square, f32x4.splat(-0.5), tail);
  return fma(e, f32x4.splat(0.693359375), f32x4.add(m, tail));
}

// @ts-ignore: decorator
@inline
function gradientAs(
  divergence: i32, z: usize, y: usize, n: i32, nShared: i32, scale: f32, beta: f32, same: bool, f: usize,
): void {
  const s = f32x4.splat(scale);
  const mS = v128.load32_splat(f, M_STUDENT);
  const mK = f32x4.neg(v128.load32_splat(f, M_TEMPERED));
  const mT = f32x4.neg(v128.load32_splat(f, M_TEACHER));
  const aK = v128.load32_splat(f, A_TEMPERED);
  const aT = v128.load32_splat(f, A_TEACHER);
  const mean = v128.load32_splat(f, MEAN);
  const normaliser = f32x4.neg(v128.load32_splat(f, NORMALISER));
  let aS = v128.load32_splat(f, A_STUDENT);
  if (divergence == FORWARD && same) aS = f32x4.add(aS, aK);
  for (let j = 0; j < n; j += 4) {
    const at = <usize>(j << 2);
    const x = v128.load(z + at);
    let g = f32x4.mul(exp(f32x4.sub(x, mS)), aS);
    if (j < nShared) {
      const b = v128.load(y + at);
      // What the divergence takes from the gradient of CE.
      let less: v128;
      if (divergence == FORWARD) {
        less = f32x4.mul(exp(fma(b, s, mT)), aT);
        if (!same) less = f32x4.sub(less, f32x4.mul(exp(fma(x, s, mK)), aK));
      } else {
        const difference = f32x4.sub(b, x);
        const ratio = divergence == REVERSE
          ? f32x4.mul(difference, s)
          : logMixture(fma(difference, s, normaliser), beta);
        less = f32x4.mul(f32x4.mul(exp(fma(x, s, mK)), aK), f32x4.add(mean, ratio));
      }
      g = f32x4.sub(g, v128.and(less, lanes(nShared - j)));
    }
    v128.store(z + at, g);
  }
}

/**
 * z (n student logits of a token) becomes dL/dz, with y the teacher's: a_s e^(z - m_s), and for the first nShared
 *   FORWARD  + a_k e^(z / tau - m_k) - a_t e^(y / tau - m_t)
 *   REVERSE  + a_k e^(z / tau - m_k) ((z - y) / tau - mean)
 *   JSD      + a_k e^(z / tau - m_k) (log(q / m) - mean)
 * `same`: the student's softmax and the tempered one are one and the same. The label's part is the caller's.
 */
export function logitsGradient(
  divergence: i32, z: usize, y: usize, n: i32, nShared: i32, scale: f32, beta: f32, same: bool, f: usize,
): void {
  if (divergence == FORWARD) gradientAs(FORWARD, z, y, n, nShared, scale, beta, same, f);
  else if (divergence == REVERSE) gradientAs(REVERSE, z, y, n, nShared, scale, beta, same, f);
  else gradientAs(JSD, z, y, n, nShared, scale, beta, same, f);
}
