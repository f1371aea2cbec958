import { type Attributes, rows, type Value } from '../../../program/types.js';
import type { Addresses, Lowering } from './lowering.js';

/** assembly/attention.ts: Q_BLOCK. */
const Q_BLOCK = 24;

const round8 = (n: number): number => Math.ceil(n / 8) * 8;

function sizes({ sequence, heads, keyValueHeads, headDim }: Attributes): number[] {
  return [sequence!, heads!, keyValueHeads!, headDim!, 1 / Math.sqrt(headDim!)];
}

/** One tile per row of the batch and key-value head. */
const tiles = (q: Value, { sequence, keyValueHeads }: Attributes): number =>
  (rows(q) / sequence!) * keyValueHeads!;

const pointers = (values: readonly (Value | null)[], at: Addresses) => values.map((value) => at.of(value));

export const attentionLowering: Lowering = {
  lower: ({ inputs, outputs, attributes }, at) => [
    {
      kernel: 'attention',
      tiles: tiles(inputs[0]!, attributes),
      args: [...pointers(inputs, at), ...pointers(outputs, at), ...sizes(attributes)],
    },
  ],
  scratchBytes({ attributes: { sequence, headDim } }) {
    const keys = round8(sequence!) * headDim!;
    const scores = Q_BLOCK * (round8(sequence!) + 8);
    return 4 * (keys + scores + Q_BLOCK * round8(headDim!) + Q_BLOCK) + 64;
  },
};

export const attentionDxLowering: Lowering = {
  lower: ({ inputs, outputs, attributes }, at) => [
    {
      kernel: 'attention_dx',
      tiles: tiles(inputs[0]!, attributes),
      args: [...pointers(inputs, at), ...pointers(outputs, at), ...sizes(attributes)],
    },
  ],
  scratchBytes({ attributes: { sequence, headDim } }) {
    const panels = 2 * round8(sequence!) * headDim!;
    const scores = 2 * Q_BLOCK * (round8(sequence!) + 8);
    const sums = 2 * round8(sequence!) * round8(headDim!);
    return 4 * (panels + scores + Q_BLOCK * round8(headDim!) + sums) + 64;
  },
};

/** One tile per row of the batch and query head: in decoding there are few of either. */
export const cachedAttentionLowering: Lowering = {
  lower: ({ inputs, outputs, attributes }, at) => {
    const { sequence, heads, keyValueHeads, headDim, capacity } = attributes;
    const sizes = [sequence!, heads!, keyValueHeads!, headDim!, capacity!, 1 / Math.sqrt(headDim!)];
    const args = [...pointers(inputs, at), ...pointers(outputs, at), ...sizes];
    return [{ kernel: 'cached_attention', tiles: (rows(inputs[0]!) / sequence!) * heads!, args }];
  },
  scratchBytes({ attributes: { sequence, headDim, capacity } }) {
    const keys = round8(capacity!) + round8(sequence!);
    return 4 * (Q_BLOCK * (keys + 8) + Q_BLOCK * round8(headDim!) + Q_BLOCK + keys * headDim!) + 64;
  },
};
