import { DATA_OPTIONS } from '../options/data.js';
import { EVALUATE_OPTIONS } from '../options/evaluate.js';
import { SAMPLING_OPTIONS } from '../options/generate.js';
import { abortSignal, callback, count, text, whole } from '../options/schemas.js';
import type { Given, Option } from '../options/table.js';
import type { DownloadRecord, ProgressRecord } from '../records.js';

const { adapter, sequence, device, kernels, tune, threads } = EVALUATE_OPTIONS;

const signal = {
  group: 'run',
  value: 'SIGNAL',
  schema: abortSignal.optional(),
  help: 'ends the work: its promise rejects at once',
} as const satisfies Option;

/** The options of `loadModel`: those of `evaluate` that say what is loaded and where it runs, and what code alone has. */
export const MODEL_OPTIONS = {
  adapter,
  sequence,
  device,
  kernels,
  tune,
  threads,
  context: {
    group: 'run',
    value: 'N',
    schema: whole,
    default: 0,
    help: 'tokens of a prompt and what follows, for `generate` and `choices`: memory is kept for them; 0 for none',
  },
  batch: {
    group: 'run',
    value: 'N',
    schema: count,
    default: 1,
    help: 'prompts at once, each with `context` tokens',
  },
  chatTemplate: DATA_OPTIONS.chatTemplate,
  onDownload: {
    group: 'run',
    value: 'FUNCTION',
    schema: callback<(record: DownloadRecord) => void>().optional(),
    help: 'told how far the download of a model by Hub name is',
  },
  onStarting: {
    group: 'run',
    value: 'FUNCTION',
    schema: callback<(record: ProgressRecord) => void>().optional(),
    help: 'told how far the model is until it is ready: compiling, tuning on a GPU, loading',
  },
  signal,
} as const satisfies Record<string, Option>;

export type ModelOptions = Given<typeof MODEL_OPTIONS>;

/** The options of `Model.generate`. */
export const COMPLETION_OPTIONS = { ...SAMPLING_OPTIONS, signal } as const satisfies Record<string, Option>;

export type CompletionOptions = Given<typeof COMPLETION_OPTIONS>;

/** The options of `Model.perplexity`. */
export const PERPLEXITY_OPTIONS = {
  name: { group: 'data', value: 'NAME', schema: text, default: 'text', help: 'of the text, for messages' },
  signal,
} as const satisfies Record<string, Option>;

export type PerplexityOptions = Given<typeof PERPLEXITY_OPTIONS>;
