import { z } from 'zod';
import { defineFamily } from './family.js';

/** Mistral 7B and its kin: Llama whose attention reaches back `sliding_window` tokens, 4096 where it is not given. */
export const mistral = defineFamily({
  modelType: 'mistral',
  fields: z.looseObject({ sliding_window: z.int().min(1).nullable().default(4096) }),
  traits: ({ sliding_window }) => (sliding_window === null ? {} : { slidingWindow: sliding_window }),
});
