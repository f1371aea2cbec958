import type { Family } from './family.js';
import { llama } from './llama.js';
import { mistral } from './mistral.js';
import { qwen2 } from './qwen2.js';
import { qwen3 } from './qwen3.js';

/** The supported model families, by `model_type`. */
export const families: ReadonlyMap<string, Family> = new Map(
  [llama, mistral, qwen2, qwen3].map((family) => [family.modelType, family]),
);
