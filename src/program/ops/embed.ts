import type { Builder } from '../builder.js';
import type { Op } from '../op.js';
import { elementCount, type Value, valueBytes } from '../types.js';

/** x_t = weight[tokens_t]: tokens u32 [T], weight [V, D] (f32, bf16 or f16) -> f32 [T, D]. The table is frozen. */
export function embed(b: Builder, tokens: Value, weight: Value): Value {
  const x = b.activation('embeddings', [elementCount(tokens.shape), weight.shape[1]!]);
  b.call('embed', [tokens, weight], [x]);
  return x;
}

export const embedOp: Op = {
  name: 'embed',
  cost: ({ outputs: [x] }) => ({ flops: 0, bytes: 2 * valueBytes(x!) }),
};
