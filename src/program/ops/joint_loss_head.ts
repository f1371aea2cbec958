import type { Builder } from '../builder.js';
import { expectShape, type Op } from '../op.js';
import { type Call, type Cost, rows, type Value, valueBytes } from '../types.js';

export interface JointLossInputs {
  /** Student: hidden states after the final norm [T, D] and head [V, D]. */
  readonly hidden: Value;
  readonly head: Value;
  /** Teacher: the same, [T, D_t] and [V_t, D_t]; both or neither. */
  readonly teacherHidden?: Value | null;
  readonly teacherHead?: Value | null;
  /** i32 [T], already shifted: the token to predict, or -100 for none. */
  readonly labels: Value;
}

export interface JointLossOptions {
  /** L = alpha KL + (1 - alpha) CE. */
  readonly alpha: number;
  /** KL is between softmax(z / temperature), and weighted by temperature^2. */
  readonly temperature: number;
  readonly gradient: boolean;
}

/**
 * Per token, in nats: ce_t = -log softmax(z_t)[label_t] over the student's whole vocabulary, and
 * kl_t = tau^2 KL(softmax(zt_t / tau) || softmax(zs_t / tau)) over the first min(V, V_t) entries, both 0 where the
 * label is -100. With `gradient`, also d_hidden [T, D], the gradient of sum_t alpha kl_t + (1 - alpha) ce_t. Logits
 * z = h W^T exist only for a chunk of tokens at a time; heads are frozen.
 */
export function jointLossHead(
  b: Builder,
  { hidden, head, teacherHidden = null, teacherHead = null, labels }: JointLossInputs,
  { alpha, temperature, gradient }: JointLossOptions,
): { ce: Value; kl: Value } {
  const tokens = rows(hidden);
  expectShape(labels, [tokens], 'joint_loss_head');
  expectShape(head, [head.shape[0]!, hidden.shape.at(-1)!], 'joint_loss_head');
  if (teacherHidden && teacherHead) {
    expectShape(teacherHidden, [tokens, teacherHead.shape[1]!], 'joint_loss_head');
  } else if (teacherHidden || teacherHead) {
    throw new Error('joint_loss_head: expected both teacher hidden states and teacher head, or neither');
  }
  const ce = b.value('output', 'ce', [tokens]);
  const kl = b.value('output', 'kl', [tokens]);
  const outputs = gradient ? [ce, kl, b.activation('d_hidden', hidden.shape)] : [ce, kl];
  b.call('joint_loss_head', [hidden, head, teacherHidden, teacherHead, labels], outputs, {
    alpha,
    temperature,
  });
  return { ce, kl };
}

function cost({ inputs: [hidden, head, teacherHidden, teacherHead], outputs }: Call): Cost {
  const product = (h: Value, w: Value) => 2 * rows(h) * w.shape[0]! * w.shape[1]!;
  const student = product(hidden!, head!) * (outputs.length > 2 ? 2 : 1);
  const teacher = teacherHidden && teacherHead ? product(teacherHidden, teacherHead) : 0;
  return {
    flops: student + teacher,
    bytes: valueBytes(hidden!) + valueBytes(head!) + (teacherHead ? valueBytes(teacherHead) : 0),
  };
}

export const jointLossHeadOp: Op = {
  name: 'joint_loss_head',
  gradient: ({ inputs: [hidden], outputs }, gradients) => {
    const dHidden = outputs[2];
    if (dHidden && gradients.needed(hidden)) gradients.add(hidden, dHidden);
  },
  cost,
};
