import { EVALUATE_OPTIONS } from '../options/evaluate.js';
import { abortSignal, callback, text } from '../options/schemas.js';
import type { Given, Option } from '../options/table.js';
import type { DownloadRecord } from '../records.js';

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
  onDownload: {
    group: 'run',
    value: 'FUNCTION',
    schema: callback<(record: DownloadRecord) => void>().optional(),
    help: 'told how far the download of a model by Hub name is',
  },
  signal,
} as const satisfies Record<string, Option>;

export type ModelOptions = Given<typeof MODEL_OPTIONS>;

/** The options of `Model.perplexity`. */
export const PERPLEXITY_OPTIONS = {
  name: { group: 'data', value: 'NAME', schema: text, default: 'text', help: 'of the text, for messages' },
  signal,
} as const satisfies Record<string, Option>;

export type PerplexityOptions = Given<typeof PERPLEXITY_OPTIONS>;
