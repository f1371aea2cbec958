import type { Builder } from '../builder.js';
import { expectShape, type Op } from '../op.js';
import { type Call, type Cost, rows, type Value, valueBytes } from '../types.js';

export interface JointLossInputs {
  /** Student: hidden states after the final norm [T, D] and head [V, D]. */
  readonly hidden: Value;
  readonly head: Value;
  /** Teacher: the same, [T, D_t] and [V_t, D_t]; both or neither. */
  readonly teacherHidden?: Value | null | undefined;
  readonly teacherHead?: Value | null | undefined;
  /** i32 [T], already shifted: the token to predict, or -100 for none. */
  readonly labels: Value;
  /** f32 [1], a scalar that gradients are multiplied by, so that none vanishes in f16; 1 without it. */
  readonly lossScale?: Value | null | undefined;
}

/**
 * Of teacher p and student q: KL(p || q), KL(q || p), or generalised Jensen-Shannon, beta KL(p || m) +
 * (1 - beta) KL(q || m) with m = beta p + (1 - beta) q. The attribute `divergence` is the index.
 */
export const DIVERGENCES = ['forward-kl', 'reverse-kl', 'jsd'] as const;
export type Divergence = (typeof DIVERGENCES)[number];

export interface JointLossOptions {
  /** L = alpha divergence + (1 - alpha) CE. */
  readonly alpha: number;
  /** The divergence is between softmax(z / temperature), and weighted by temperature^2. */
  readonly temperature: number;
  /** Default forward-kl. */
  readonly divergence?: Divergence;
  /** Weight of the teacher in jsd, 0 < beta < 1, default 0.5; other divergences ignore it. */
  readonly beta?: number;
  readonly gradient: boolean;
  /** With `gradient`, that of the student's head too: for a head that is trained. */
  readonly headGradient?: boolean;
  /** Without `gradient`: which token the student finds likeliest, too. */
  readonly argMax?: boolean;
}

/**
 * Per token, in nats: ce_t = -log softmax(z_t)[label_t] over the student's whole vocabulary, and kl_t = tau^2 times the
 * divergence of p = softmax(zt_t / tau) and q = softmax(zs_t / tau) over the first min(V, V_t) entries, both 0 where
 * the label is -100. With `gradient`, also d_hidden [T, D] and, if asked for, d_head f32 [V, D]: the gradients of
 * lossScale sum_t alpha kl_t + (1 - alpha) ce_t. With `argMax`, also arg_max i32 [T]: the entry of the student's
 * largest logit, of equal ones the first, and -100 where the label is. Logits z = h W^T exist only for a chunk of tokens
 * at a time; the teacher's head is frozen.
 */
export function jointLossHead(
  b: Builder,
  { hidden, head, teacherHidden = null, teacherHead = null, labels, lossScale = null }: JointLossInputs,
  options: JointLossOptions,
): { ce: Value; kl: Value; argMax: Value | undefined } {
  const {
    alpha,
    temperature,
    divergence = 'forward-kl',
    beta = 0.5,
    gradient,
    headGradient = false,
    argMax = false,
  } = options;
  const tokens = rows(hidden);
  expectShape(labels, [tokens], 'joint_loss_head');
  expectShape(head, [head.shape[0]!, hidden.shape.at(-1)!], 'joint_loss_head');
  if (teacherHidden && teacherHead) {
    expectShape(teacherHidden, [tokens, teacherHead.shape[1]!], 'joint_loss_head');
  } else if (teacherHidden || teacherHead) {
    throw new Error('joint_loss_head: expected both teacher hidden states and teacher head, or neither');
  }
  if (lossScale) expectShape(lossScale, [1], 'joint_loss_head');
  if (!(beta > 0 && beta < 1)) throw new Error(`joint_loss_head: expected 0 < beta < 1, found ${beta}`);
  if (gradient && argMax) throw new Error('joint_loss_head: expected gradient or argMax, found both');
  const ce = b.value('output', 'ce', [tokens]);
  const kl = b.value('output', 'kl', [tokens]);
  const outputs = [ce, kl];
  if (gradient) outputs.push(b.activation('d_hidden', hidden.shape));
  if (gradient && headGradient) outputs.push(b.activation('d_head', head.shape));
  const likeliest = argMax ? b.value('output', 'arg_max', [tokens], 'i32') : undefined;
  if (likeliest) outputs.push(likeliest);
  b.call('joint_loss_head', [hidden, head, teacherHidden, teacherHead, labels, lossScale], outputs, {
    alpha,
    temperature,
    divergence: DIVERGENCES.indexOf(divergence),
    beta,
    argMax: argMax ? 1 : 0,
  });
  return { ce, kl, argMax: likeliest };
}

/** The outputs of a call beside ce and kl, as far as it has them. */
export function lossOutputs({ outputs, attributes }: Call): {
  readonly dHidden?: Value | undefined;
  readonly dHead?: Value | undefined;
  readonly argMax?: Value | undefined;
} {
  const [, , first, second] = outputs;
  return attributes.argMax === 1 ? { argMax: first } : { dHidden: first, dHead: second };
}

function cost(call: Call): Cost {
  const [hidden, head, teacherHidden, teacherHead] = call.inputs;
  const { dHidden, dHead } = lossOutputs(call);
  const product = (h: Value, w: Value) => 2 * rows(h) * w.shape[0]! * w.shape[1]!;
  // One product for the logits, one for each gradient.
  const student = product(hidden!, head!) * (1 + (dHidden ? 1 : 0) + (dHead ? 1 : 0));
  const teacher = teacherHidden && teacherHead ? product(teacherHidden, teacherHead) : 0;
  return {
    flops: student + teacher,
    bytes: [hidden!, head!, teacherHead, dHead].reduce(
      (sum, value) => sum + (value ? valueBytes(value) : 0),
      0,
    ),
  };
}

export const jointLossHeadOp: Op = {
  name: 'joint_loss_head',
  whole: (call) => [lossOutputs(call).dHead],
  gradient: (call, gradients) => {
    const [hidden, head] = call.inputs;
    const { dHidden, dHead } = lossOutputs(call);
    if (dHidden && gradients.needed(hidden)) gradients.add(hidden, dHidden);
    if (!gradients.needed(head)) return;
    if (!dHead)
      throw new Error(`joint_loss_head: ${head.name} is trained; expected headGradient, found none`);
    gradients.add(head, dHead);
  },
  cost,
};
