import { z } from 'zod';
import { defineFamily } from './family.js';

/** Qwen3, dense: Llama with normalised queries and keys (transformers' modeling_qwen3.py). */
export const qwen3 = defineFamily({
  modelType: 'qwen3',
  fields: z.looseObject({
    attention_bias: z.literal(false, 'expected false, biases are not supported').default(false),
    head_dim: z.int().min(1).default(128),
    use_sliding_window: z.boolean().default(false),
    sliding_window: z.int().min(1).nullish(),
  }),
  traits: ({ use_sliding_window, sliding_window }) => ({
    qkNorm: true,
    ...(use_sliding_window && sliding_window ? { slidingWindow: sliding_window } : {}),
  }),
});
