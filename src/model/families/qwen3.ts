import { z } from 'zod';
import { defineFamily } from './family.js';
import { slidingWindow, windowFields } from './qwen2.js';

/** Qwen3, dense: Llama with normalised queries and keys (transformers' modeling_qwen3.py). */
export const qwen3 = defineFamily({
  modelType: 'qwen3',
  fields: z.looseObject({
    ...windowFields,
    attention_bias: z.literal(false, 'expected false, biases are not supported').default(false),
    head_dim: z.int().min(1).default(128),
  }),
  traits: (fields) => ({ qkNorm: true, ...slidingWindow(fields) }),
});
