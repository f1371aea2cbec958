import { z } from 'zod';
import { defineFamily } from './family.js';

/** Qwen2 and Qwen2.5: Llama with biases in q, k and v (transformers' modeling_qwen2.py). */
export const qwen2 = defineFamily({
  modelType: 'qwen2',
  fields: z.looseObject({
    use_sliding_window: z.boolean().default(false),
    sliding_window: z.int().min(1).nullish(),
  }),
  traits: ({ use_sliding_window, sliding_window }) => ({
    qkvBias: true,
    ...(use_sliding_window && sliding_window ? { slidingWindow: sliding_window } : {}),
  }),
});
