import type { Builder } from '../builder.js';
import { expectShape, type Op } from '../op.js';
import { columns, elementCount, type Value, valueBytes } from '../types.js';

/** x_t = weight[tokens_t]: tokens u32 [T], weight [V, D] (f32, bf16 or f16) -> f32 [T, D]. */
export function embed(b: Builder, tokens: Value, weight: Value): Value {
  const x = b.activation('embeddings', [elementCount(tokens.shape), weight.shape[1]!]);
  b.call('embed', [tokens, weight], [x]);
  return x;
}

/**
 * d_weight [V, D] = base + sum over t of dx_t in row tokens_t, added in the order of t: dx [T, D], tokens u32 [T].
 * Where the table is the head too, base is what the head gave.
 */
export function embedDw(
  b: Builder,
  tokens: Value,
  dx: Value,
  vocabularySize: number,
  base: Value | null,
): Value {
  const shape = [vocabularySize, columns(dx)];
  expectShape(dx, [elementCount(tokens.shape), columns(dx)], 'embed_dw');
  if (base) expectShape(base, shape, 'embed_dw');
  const dw = b.activation('d_table', shape);
  b.call('embed_dw', [base, tokens, dx], [dw]);
  return dw;
}

export const embedOp: Op = {
  name: 'embed',
  whole: ({ outputs }) => [outputs[0]],
  gradient: ({ inputs: [tokens, weight], outputs: [x] }, gradients) => {
    const dx = gradients.get(x!);
    if (!dx || !gradients.needed(weight)) return;
    const dw = embedDw(gradients.builder, tokens!, dx, weight.shape[0]!, gradients.get(weight));
    gradients.set(weight, dw);
  },
  cost: ({ outputs: [x] }) => ({ flops: 0, bytes: 2 * valueBytes(x!) }),
};

export const embedDwOp: Op = {
  name: 'embed_dw',
  whole: ({ outputs }) => [outputs[0]],
  cost: ({ inputs: [base, , dx], outputs: [dw] }) => ({
    flops: elementCount(dx!.shape),
    bytes: 3 * valueBytes(dx!) + valueBytes(dw!) * (base ? 2 : 1),
  }),
  inPlace: [[0, 0]],
};
