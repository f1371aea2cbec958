import { DIVERGENCES, type Divergence } from '#src/program/ops/joint_loss_head.js';
import type { Attributes } from '#src/program/types.js';
import { columns, type Reference, type Tensor } from './cases.js';

export const IGNORED = -100;

/** z = W h / temperature for token t, over the first `count` vocabulary entries. */
function logits(hidden: Tensor, head: Tensor, t: number, temperature: number, count: number): Float64Array {
  const width = columns(hidden);
  return Float64Array.from({ length: count }, (_, j) => {
    let sum = 0;
    for (let d = 0; d < width; d++) sum += hidden.data[t * width + d]! * head.data[j * width + d]!;
    return sum / temperature;
  });
}

function logSoftmax(z: Float64Array): Float64Array {
  const largest = z.reduce((a, b) => Math.max(a, b));
  const logSum = largest + Math.log(z.reduce((sum, value) => sum + Math.exp(value - largest), 0));
  return z.map((value) => value - logSum);
}

/** A divergence of teacher p from student q, and its gradient in q's logits. */
function divergenceOf(
  logP: Float64Array,
  logQ: Float64Array,
  which: Divergence,
  beta: number,
): { value: number; gradient: Float64Array } {
  const p = logP.map(Math.exp);
  const q = logQ.map(Math.exp);
  const kl = (weight: Float64Array, from: Float64Array, to: Float64Array) =>
    weight.reduce((sum, w, j) => sum + w * (from[j]! - to[j]!), 0);
  if (which === 'forward-kl') return { value: kl(p, logP, logQ), gradient: q.map((x, j) => x - p[j]!) };
  // log(q / other) centred on its mean under q, for q against p or against the mixture.
  const centred = (to: Float64Array, mean: number) => q.map((x, j) => x * (logQ[j]! - to[j]! - mean));
  if (which === 'reverse-kl') {
    const value = kl(q, logQ, logP);
    return { value, gradient: centred(logP, value) };
  }
  const logM = logP.map((x, j) => {
    const [a, b] = [x + Math.log(beta), logQ[j]! + Math.log(1 - beta)];
    return Math.max(a, b) + Math.log1p(Math.exp(-Math.abs(a - b)));
  });
  const student = kl(q, logQ, logM);
  return {
    value: beta * kl(p, logP, logM) + (1 - beta) * student,
    gradient: centred(logM, student).map((x) => (1 - beta) * x),
  };
}

/** Attributes of a call; those of the divergence have their defaults where they are absent. */
function objectiveOf(attributes: Attributes) {
  const { alpha, temperature, divergence = 0, beta = 0.5 } = attributes as Record<string, number>;
  return { alpha: alpha!, temperature: temperature!, divergence: DIVERGENCES[divergence]!, beta };
}

/** ce and kl of every labelled token; and d_hidden, d_head, or arg_max if there are such outputs. */
export const jointLossReference: Reference = ({ inputs, outputs, attributes }) => {
  const isScoring = attributes.argMax === 1;
  const [ceOut, , dHidden, dHead] = isScoring ? outputs.slice(0, 2) : outputs;
  const largest = new Float64Array(isScoring ? ceOut!.data.length : 0).fill(IGNORED);
  const [hidden, head, ...others] = inputs as [Tensor, Tensor, ...(Tensor | null)[]];
  const [teacherHidden, teacherHead, labels, lossScale] = others;
  const { alpha, temperature, divergence, beta } = objectiveOf(attributes);
  const [vocabulary, width] = head.shape as [number, number];
  const [ce, kl] = [new Float64Array(ceOut!.data.length), new Float64Array(ceOut!.data.length)];
  const gradient = new Float64Array(dHidden?.data.length ?? 0);
  const headGradient = new Float64Array(dHead?.data.length ?? 0);
  labels!.data.forEach((label, t) => {
    if (label === IGNORED) return;
    const student = logSoftmax(logits(hidden, head, t, 1, vocabulary));
    ce[t] = -student[label]!;
    if (isScoring) largest[t] = student.indexOf(Math.max(...student));
    const dz = student.map((logP, j) => (1 - alpha) * (Math.exp(logP) - (j === label ? 1 : 0)));
    if (teacherHidden && teacherHead) {
      const shared = Math.min(vocabulary, teacherHead.shape[0]!);
      const logQ = logSoftmax(logits(hidden, head, t, temperature, shared));
      const logP = logSoftmax(logits(teacherHidden, teacherHead, t, temperature, shared));
      const result = divergenceOf(logP, logQ, divergence, beta);
      kl[t] = temperature ** 2 * result.value;
      result.gradient.forEach((g, j) => {
        dz[j]! += alpha * temperature * g;
      });
    }
    const scale = lossScale?.data[0] ?? 1;
    for (let j = 0; j < vocabulary; j++) dz[j]! *= scale;
    if (dHidden) addProducts(gradient.subarray(t * width, (t + 1) * width), dz, head.data);
    if (dHead) addOuterProduct(headGradient, dz, hidden.data.subarray(t * width, (t + 1) * width));
  });
  if (isScoring) return [ce, kl, largest];
  return [ce, kl, ...(dHidden ? [gradient] : []), ...(dHead ? [headGradient] : [])];
};

/** y += dz W. */
function addProducts(y: Float64Array, dz: Float64Array, w: Float64Array): void {
  for (let d = 0; d < y.length; d++) {
    for (let j = 0; j < dz.length; j++) y[d]! += dz[j]! * w[j * y.length + d]!;
  }
}

/** dw += dz h^T. */
function addOuterProduct(dw: Float64Array, dz: Float64Array, h: Float64Array): void {
  dz.forEach((g, j) => {
    for (let d = 0; d < h.length; d++) dw[j * h.length + d]! += g * h[d]!;
  });
}
