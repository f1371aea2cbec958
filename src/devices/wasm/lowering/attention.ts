import { type Attributes, rows, type Value } from '../../../program/types.js';
import type { Addresses, Lowering } from './lowering.js';

/** assembly/attention.ts: Q_BLOCK. */
export const Q_BLOCK = 24;

export const round8 = (n: number): number => Math.ceil(n / 8) * 8;

function sizes({ sequence, heads, keyValueHeads, headDim }: Attributes): number[] {
  return [sequence!, heads!, keyValueHeads!, headDim!, 1 / Math.sqrt(headDim!)];
}

/** One tile per row of the batch and key-value head. */
const tiles = (q: Value, { sequence, keyValueHeads }: Attributes): number =>
  (rows(q) / sequence!) * keyValueHeads!;

export const pointers = (values: readonly (Value | null)[], at: Addresses) =>
  values.map((value) => at.of(value));

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
