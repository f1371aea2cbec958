import { DATA_OPTIONS } from './data.js';
import { PRINTING_FLAGS } from './printing.js';
import { text } from './schemas.js';
import type { Given, Option, Resolved } from './table.js';
import { TRAIN_OPTIONS } from './train.js';

const { data, textColumn, idsTokenizer, chatTemplate, lossOn, qmsum, separator, onBadDocument, bos, eos } =
  DATA_OPTIONS;
const { sequence, longDocuments, evalFraction } = DATA_OPTIONS;

/** The options of `cache`: those that decide which pieces a text has are named as those of `train`. */
export const CACHE_OPTIONS = {
  model: {
    group: 'model',
    value: 'MODEL',
    schema: text,
    help: 'the teacher: a Hugging Face folder, or owner/name[@revision] on the Hub',
  },
  data: {
    ...data,
    help: data.help
      .replace('text to train on', 'text that will be trained on')
      .replace('each with its share as in a.jsonl:0.7', 'a share as in a.jsonl:0.7 changes nothing here'),
  },
  textColumn,
  idsTokenizer,
  chatTemplate: { ...chatTemplate, help: chatTemplate.help.replace("student's", "model's") },
  lossOn,
  qmsum,
  separator,
  onBadDocument: { ...onBadDocument, help: 'a document that cannot be read: stop | skip it' },
  bos,
  eos,
  sequence: { ...sequence, help: 'documents are cut at multiples of N tokens from their own start' },
  longDocuments,
  evalFraction: {
    ...evalFraction,
    help: 'share of the text that will be held out, which needs no teacher; 0 for runs with --eval-data',
  },
  teacherCacheDtype: TRAIN_OPTIONS.teacherCacheDtype,
  out: {
    group: 'run',
    value: 'DIR',
    schema: text,
    help: 'folder of the cache, which --teacher-cache of train reads; one that is there is added to',
  },
  device: TRAIN_OPTIONS.device,
  kernels: TRAIN_OPTIONS.kernels,
  tune: TRAIN_OPTIONS.tune,
  threads: TRAIN_OPTIONS.threads,
} as const satisfies Record<string, Option>;

/** The flags of the program `cache`. */
export const CACHE_FLAGS = { ...CACHE_OPTIONS, ...PRINTING_FLAGS } as const;

/** Every option, checked, with defaults filled in. */
export type CacheOptions = Resolved<typeof CACHE_OPTIONS>;

export type CacheInput = Given<typeof CACHE_OPTIONS>;
