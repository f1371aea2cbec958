import { rows } from '../../../program/types.js';
import { pointers, Q_BLOCK, round8 } from './attention.js';
import type { Lowering } from './lowering.js';

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
