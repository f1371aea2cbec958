import type { Builder } from '../builder.js';
import { expectShape, type Op } from '../op.js';
import { rows, type Value, valueBytes } from '../types.js';
import type { AttentionShape } from './attention.js';

/** Keys and values of tokens that were read before, with room for `capacity` of them a row. */
export interface CachedKeys {
  /** f32 [rows * capacity, keyValueHeads * headDim], row by row of the batch */
  readonly keys: Value;
  readonly values: Value;
  /** u32 [rows]: how many of a row's are there. */
  readonly cached: Value;
}

/**
 * Causal attention of new tokens over all that their row has in a cache, and over new tokens of their own document: token t
 * of a row sees the row's first `cached` keys and the new tokens t - (positions[t] - cached) .. t. So positions count on
 * from what is cached, and several continuations of one context can lie in a row, each beginning at `cached`.
 * Otherwise as `attention`: q [T, heads * headDim], k, v [T, keyValueHeads * headDim], positions u32 [T], at least `cached`.
 * Nothing flows back through it.
 */
export function cachedAttention(
  b: Builder,
  { q, k, v }: { q: Value; k: Value; v: Value },
  positions: Value,
  { keys, values, cached }: CachedKeys,
  shape: AttentionShape,
): Value {
  const { sequence, heads, keyValueHeads, headDim } = shape;
  const batch = rows(q) / sequence;
  const width = keyValueHeads * headDim;
  expectShape(q, [rows(q), heads * headDim], 'cached_attention');
  for (const x of [k, v]) expectShape(x, [rows(q), width], 'cached_attention');
  for (const x of [keys, values]) expectShape(x, [rows(keys), width], 'cached_attention');
  expectShape(positions, [rows(q)], 'cached_attention');
  expectShape(cached, [batch], 'cached_attention');
  const o = b.activation('attention', q.shape);
  const inputs = [q, k, v, positions, cached, keys, values];
  b.call('cached_attention', inputs, [o], { ...shape, capacity: rows(keys) / batch });
  return o;
}

export const cachedAttentionOp: Op = {
  name: 'cached_attention',
  whole: ({ inputs }) => [inputs[5], inputs[6]],
  // As if the caches were full.
  cost: ({ inputs: [q, k], attributes: { heads, headDim, capacity, sequence } }) => ({
    flops: 4 * rows(q!) * heads! * headDim! * (capacity! + (sequence! + 1) / 2),
    bytes: 2 * valueBytes(q!) + 2 * valueBytes(k!) * (1 + capacity! / sequence!),
  }),
};
