import { DATA_OPTIONS } from './data.js';
import { PRINTING_FLAGS } from './printing.js';
import { text } from './schemas.js';
import type { Given, Option } from './table.js';

const {
  data,
  textColumn,
  idsTokenizer,
  chatTemplate,
  lossOn,
  qmsum,
  separator,
  onBadDocument,
  bos,
  eos,
  sequence,
} = DATA_OPTIONS;

/** The options of `tokenize`. */
export const TOKENIZE_OPTIONS = {
  model: {
    group: 'model',
    value: 'MODEL',
    schema: text,
    help: 'the model whose tokenizer is used: a Hugging Face folder, or owner/name[@revision] on the Hub',
  },
  data: {
    ...data,
    help: data.help
      .replace('text to train on', 'text to read')
      .replace(', each with its share as in a.jsonl:0.7', ''),
  },
  textColumn,
  idsTokenizer,
  chatTemplate: { ...chatTemplate, help: chatTemplate.help.replace("student's", "model's") },
  lossOn,
  qmsum,
  separator,
  onBadDocument: { ...onBadDocument, help: 'a document that cannot be read: stop | skip and count it' },
  bos,
  eos,
  sequence: { ...sequence, help: 'tokens in a row, for the packing efficiency' },
  out: {
    group: 'run',
    value: 'DIR',
    schema: text.optional(),
    help: 'a new folder for token shards, which --data of train reads (default: statistics alone)',
  },
} as const satisfies Record<string, Option>;

/** The flags of the program `tokenize`. */
export const TOKENIZE_FLAGS = { ...TOKENIZE_OPTIONS, ...PRINTING_FLAGS } as const;

export type TokenizeInput = Given<typeof TOKENIZE_OPTIONS>;
