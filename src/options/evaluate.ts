import { sequence, text, toggle } from './schemas.js';
import type { Given, Option } from './table.js';
import { TRAIN_OPTIONS } from './train.js';

/** The options of `evaluate`. */
export const EVALUATE_OPTIONS = {
  model: {
    group: 'model',
    value: 'MODEL',
    schema: text,
    help: 'the model: a Hugging Face folder, or owner/name[@revision] on the Hub',
  },
  adapter: {
    group: 'model',
    value: 'ADAPTER',
    schema: text.optional(),
    help: 'a PEFT adapter for it, a folder or owner/name (default: none)',
  },
  perplexity: { group: 'data', value: 'FILE', schema: text, help: 'a text file, read as one document' },
  sequence: { group: 'data', value: 'N', schema: sequence, default: 256, help: 'tokens in a window' },
  device: TRAIN_OPTIONS.device,
  kernels: TRAIN_OPTIONS.kernels,
  tune: TRAIN_OPTIONS.tune,
  threads: TRAIN_OPTIONS.threads,
  json: { group: 'run', schema: toggle, default: false, help: 'print one JSON object on one line' },
} as const satisfies Record<string, Option>;

export type EvaluateInput = Given<typeof EVALUATE_OPTIONS>;
