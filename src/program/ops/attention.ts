import type { Builder } from '../builder.js';
import { expectShape, type Op } from '../op.js';
import { type Call, rows, type Value, valueBytes } from '../types.js';

export interface AttentionShape {
  /** Tokens of one row of the batch; attention never crosses rows. */
  readonly sequence: number;
  readonly heads: number;
  readonly keyValueHeads: number;
  readonly headDim: number;
}

/**
 * Causal attention inside documents: token t attends to tokens t - positions[t] .. t of its own row, so positions
 * are also the segmentation. o = softmax(q k^T / sqrt(headDim)) v per head; query head h reads key-value head
 * floor(h keyValueHeads / heads). q [T, heads * headDim], k, v [T, keyValueHeads * headDim], positions u32 [T].
 * Also keeps the log-sum-exp of each score row, lse [T, heads].
 */
export function attention(
  b: Builder,
  qkv: { q: Value; k: Value; v: Value },
  positions: Value,
  shape: AttentionShape,
): Value {
  const { q, k, v } = qkv;
  expectShape(q, [rows(q), shape.heads * shape.headDim], 'attention');
  for (const x of [k, v]) expectShape(x, [rows(q), shape.keyValueHeads * shape.headDim], 'attention');
  expectShape(positions, [rows(q)], 'attention');
  const o = b.activation('attention', q.shape);
  const lse = b.activation('attention.lse', [rows(q), shape.heads]);
  b.call('attention', [q, k, v, positions], [o, lse], { ...shape });
  return o;
}

/** Pairs of a query and a key that causal rows of full length have, both triangles of the diagonal counted. */
function scorePairs({ inputs: [q], attributes }: Call): number {
  return (rows(q!) * attributes.heads! * (attributes.sequence! + 1)) / 2;
}

export const attentionOp: Op = {
  name: 'attention',
  whole: ({ outputs }) => [outputs[1]],
  gradient: ({ inputs, outputs: [o, lse], attributes }, gradients) => {
    const [q, k, v, positions] = inputs as [Value, Value, Value, Value];
    const dO = gradients.get(o!);
    if (!dO) return;
    const b = gradients.builder;
    const [dq, dk, dv] = [q, k, v].map((x, i) => b.activation(`d_${'qkv'[i]}`, x.shape)) as [
      Value,
      Value,
      Value,
    ];
    b.call('attention_dx', [q, k, v, positions, o!, lse!, dO], [dq, dk, dv], attributes);
    for (const [x, dx] of [
      [q, dq],
      [k, dk],
      [v, dv],
    ] as const) {
      if (gradients.needed(x)) gradients.add(x, dx);
    }
  },
  cost: (call) => ({
    flops: 4 * scorePairs(call) * call.attributes.headDim!,
    bytes: 2 * valueBytes(call.inputs[0]!) + 2 * valueBytes(call.inputs[1]!),
  }),
};

/** dq, dk, dv from dO with the probabilities recomputed from lse: P = e^{s - lse}, dS = P (dO v^T - rowsum(dO o)). */
export const attentionDxOp: Op = {
  name: 'attention_dx',
  whole: ({ inputs }) => [inputs[5]],
  cost: (call) => ({
    flops: 10 * scorePairs(call) * call.attributes.headDim!,
    bytes: 4 * valueBytes(call.inputs[0]!) + 4 * valueBytes(call.inputs[1]!),
  }),
};
