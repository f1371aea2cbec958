import { z } from 'zod';
import { defineFamily } from './family.js';

/** Llama 2, 3, 3.1, 3.2; TinyLlama; SmolLM and SmolLM2 (Llama with their own sizes). */
export const llama = defineFamily({
  modelType: 'llama',
  fields: z.looseObject({
    attention_bias: z.literal(false, 'expected false, biases are not supported').default(false),
    mlp_bias: z.literal(false, 'expected false, biases are not supported').default(false),
  }),
  traits: () => ({}),
});
