import type { Family } from './families/family.js';
import { llama } from './families/llama.js';
import { mistral } from './families/mistral.js';
import { qwen2 } from './families/qwen2.js';
import { qwen3 } from './families/qwen3.js';

/** The supported model families, by `model_type`. */
export const families: ReadonlyMap<string, Family> = new Map(
  [llama, mistral, qwen2, qwen3].map((family) => [family.modelType, family]),
);
