import type { Builder } from '../builder.js';
import { expectShape, type Op } from '../op.js';
import { elementCount, rows, type Value, valueBytes } from '../types.js';

/** What the mask of a dropout is a function of, besides the element's own place. */
export interface DropoutKey {
  /** u32 [2]: the run's seed and the optimizer step. */
  readonly seedStep: Value;
  /** u32 [T]: for each token, its row in the global batch * sequence + its place in the row. */
  readonly place: Value;
}

/**
 * y = x m / (1 - p), m_{t,j} = 1 where hash(seed, step, site, place_t, j) >= floor(p 2^32): a counter-based mask, so
 * that recompute, micro-batch splits and the backward pass agree. x [T, D]. `site` numbers the call in the model.
 *
 * The hash is over u32 (wrapping) and the same on every device. With G = 0x9e3779b9 and mix = lowbias32 (C. Wellons),
 *   mix(x): x ^= x >> 16; x *= 0x7feb352d; x ^= x >> 15; x *= 0x846ca68b; x ^= x >> 16
 *   absorb(k, v) = mix((k ^ v) + G)
 *   key_t = absorb(absorb(absorb(absorb(0, seed), step), site), place_t)
 *   hash = mix(mix(key_t + j G) ^ key_t)
 */
export function dropout(b: Builder, x: Value, key: DropoutKey, p: number, site: number): Value {
  expectShape(key.place, [rows(x)], 'dropout');
  const y = b.activation('dropout', x.shape);
  b.call('dropout', [x, key.seedStep, key.place], [y], { p, site });
  return y;
}

export const dropoutOp: Op = {
  name: 'dropout',
  gradient: ({ inputs: [x, seedStep, place], outputs: [y], attributes }, gradients) => {
    const dy = gradients.get(y!);
    if (!dy || !gradients.needed(x)) return;
    const key = { seedStep: seedStep!, place: place! };
    gradients.add(x, dropout(gradients.builder, dy, key, attributes.p!, attributes.site!));
  },
  cost: ({ outputs: [y] }) => ({ flops: 8 * elementCount(y!.shape), bytes: 2 * valueBytes(y!) }),
  inPlace: [[0, 0]],
};
