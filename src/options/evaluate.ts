import { DATA_OPTIONS } from './data.js';
import { PRINTING_FLAGS } from './printing.js';
import { sequence, text } from './schemas.js';
import type { Given, Option, Resolved } from './table.js';
import { TASK_NAMES, TASK_OPTIONS, type TaskName, tasks } from './tasks.js';
import { TRAIN_OPTIONS } from './train.js';

const { textColumn, idsTokenizer, chatTemplate, lossOn, qmsum, separator, onBadDocument, bos } = DATA_OPTIONS;

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
  perplexity: {
    group: 'data',
    value: 'PATH',
    schema: text.optional(),
    help:
      'text to score: a .txt file is one document; .jsonl, .json, .csv, .tsv, .parquet, token shards, folders, patterns and ' +
      'hf://datasets/OWNER/NAME/... are read as train reads them',
  },
  tasks: {
    group: 'data',
    value: 'TASK,...',
    schema: tasks.optional(),
    help: `benchmarks to score the model on: ${TASK_NAMES.join(', ')}; the first six have a mean`,
  },
  ...TASK_OPTIONS,
  textColumn,
  idsTokenizer,
  chatTemplate: { ...chatTemplate, help: chatTemplate.help.replace("student's", "model's") },
  lossOn: {
    ...lossOn,
    help: lossOn.help.replace('text is learned whole', 'what is scored; text is scored whole'),
  },
  qmsum,
  separator,
  onBadDocument: { ...onBadDocument, help: 'a document that cannot be read: stop | skip and count it' },
  bos: { ...bos, help: bos.help.replace('each document', 'each document, and each prompt of a task,') },
  sequence: {
    group: 'data',
    value: 'N',
    schema: sequence,
    default: 256,
    help: 'tokens in a window of --perplexity',
  },
  device: TRAIN_OPTIONS.device,
  kernels: TRAIN_OPTIONS.kernels,
  tune: TRAIN_OPTIONS.tune,
  threads: TRAIN_OPTIONS.threads,
} as const satisfies Record<string, Option>;

/** The flags of the program `evaluate`. */
export const EVALUATE_FLAGS = { ...EVALUATE_OPTIONS, ...PRINTING_FLAGS } as const;

/** Every option, checked, with defaults filled in. */
export type EvaluateOptions = Resolved<typeof EVALUATE_OPTIONS>;

/** Either of --perplexity and --tasks, or both. */
export type EvaluateGiven = Given<typeof EVALUATE_OPTIONS>;

/** To score text. */
export type EvaluateInput = EvaluateGiven & { perplexity: string };

/** To score a model on tasks. */
export type EvaluateTasksInput = EvaluateGiven & { tasks: TaskName[] };
