import { z } from 'zod';
import { defineFamily } from './family.js';

/** What decides how far attention reaches back; defaults are those of transformers' Qwen2Config and Qwen3Config. */
export const windowFields = {
  num_hidden_layers: z.int().min(1),
  use_sliding_window: z.boolean().default(false),
  sliding_window: z.int().min(1).nullable().default(4096),
  /** Layers from this one on have the window, unless `layer_types` says which do. */
  max_window_layers: z.int().min(0).default(28),
  layer_types: z.array(z.string()).nullish(),
};

/** The window of those layers that have one, as a trait. */
export function slidingWindow(fields: z.infer<z.ZodObject<typeof windowFields>>): { slidingWindow?: number } {
  const { use_sliding_window, sliding_window, layer_types } = fields;
  const someLayer =
    layer_types?.includes('sliding_attention') ?? fields.num_hidden_layers > fields.max_window_layers;
  return use_sliding_window && sliding_window && someLayer ? { slidingWindow: sliding_window } : {};
}

/** Qwen2 and Qwen2.5: Llama with biases in q, k and v (transformers' modeling_qwen2.py). */
export const qwen2 = defineFamily({
  modelType: 'qwen2',
  fields: z.looseObject(windowFields),
  traits: (fields) => ({ qkvBias: true, ...slidingWindow(fields) }),
});
