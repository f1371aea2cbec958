import { z } from 'zod';
import { qmsum } from './qmsum.js';
import { belowOne, count, oneOf, sequence, text, toggle, whole } from './schemas.js';
import type { Option } from './table.js';

/** What is read, and how it becomes batches. */
export const DATA_OPTIONS = {
  data: {
    group: 'data',
    value: 'PATH',
    schema: z.array(text, 'expected a list of paths').min(1, 'expected at least one path'),
    many: true,
    help:
      'text to train on: .txt, .jsonl, .ndjson, .json, .csv, .tsv or .parquet, each also with .gz or .zst, or token shards; a file, ' +
      'folder, pattern or hf://datasets/OWNER/NAME/...; may be repeated, each with its share as in a.jsonl:0.7',
  },
  textColumn: {
    group: 'data',
    value: 'NAME',
    schema: text.optional(),
    help:
      'the column or field that holds a text or a list of messages; a.b is a field in a field (default: messages, prompt ' +
      'and completion, or text, whichever is there)',
  },
  idsTokenizer: {
    group: 'data',
    value: 'MODEL',
    schema: text.optional(),
    help:
      'the model whose token ids documents are given as, in input_ids or --text-column: they are read as the text that they ' +
      'stand for, and encoded anew; a folder, or owner/name[@revision] on the Hub',
  },
  chatTemplate: {
    group: 'data',
    value: 'FILE',
    schema: text.optional(),
    help: "the Jinja template that conversations are written with (default: the student's own)",
  },
  lossOn: {
    group: 'data',
    value: 'WHAT',
    schema: oneOf('assistant', 'all'),
    default: 'assistant',
    help: "of conversations and prompts: assistant, the assistant's turns and completions | all; text is learned whole",
  },
  qmsum: {
    group: 'data',
    value: 'NAME=VALUE,...',
    schema: qmsum.optional(),
    help:
      "how QMSum's meetings become examples: transcript=spans|whole, queries=specific|all, tokens=N|all of the transcript, " +
      'keep=head|tail|middle|ends of a longer one, prompt=text|chat (default: the first of each, tokens=768)',
  },
  separator: {
    group: 'data',
    value: 'TEXT',
    schema: text.optional(),
    help: 'splits a .txt file into documents; \\n is a line break, \\r\\n in files too (default: a file is one document)',
  },
  onBadDocument: {
    group: 'data',
    value: 'WHAT',
    schema: oneOf('stop', 'skip'),
    default: 'stop',
    help: 'a document that cannot be read: stop | skip, count it and list it in the metrics',
  },
  bos: {
    group: 'data',
    value: 'WHEN',
    schema: oneOf('auto', 'always', 'never'),
    default: 'auto',
    help: 'begin each document with the BOS token: auto, where the tokenizer itself does | always | never; chat templates write their own',
  },
  eos: { group: 'data', schema: toggle, default: false, help: 'end each document with the EOS token' },
  sequence: { group: 'data', value: 'N', schema: sequence, default: 256, help: 'tokens in a row' },
  batch: { group: 'data', value: 'N', schema: count, default: 64, help: 'rows per optimizer step' },
  microBatch: {
    group: 'data',
    value: 'N',
    schema: count.optional(),
    help: 'rows at once; divides --batch (default: chosen from the memory plan)',
  },
  shuffleRows: {
    group: 'data',
    value: 'N',
    schema: count.optional(),
    help:
      'rows that are shuffled among themselves; 1 keeps the order of the text (default: what holds 2 M tokens; of less text ' +
      'two passes)',
  },
  packing: {
    group: 'data',
    value: 'WAY',
    schema: oneOf('stream', 'best-fit').optional(),
    help:
      'stream: documents run on from row to row | best-fit: whole ones, each where it leaves least room (default: ' +
      'stream for text, best-fit for other documents, as the first one is)',
  },
  longDocuments: {
    group: 'data',
    value: 'WHAT',
    schema: oneOf('split', 'truncate').optional(),
    help:
      'documents longer than a row: split | truncate, use what fits into one (default: split for text, truncate for ' +
      'other documents)',
  },
  examples: {
    group: 'data',
    value: 'N',
    schema: whole.optional(),
    help:
      'train on the first N documents of a shuffle by --seed, after what is held out; fewer are among more of them; 0: train ' +
      'nothing, evaluate and save the start (default: all)',
  },
  evalFraction: {
    group: 'data',
    value: 'F',
    schema: belowOne,
    default: 0.05,
    help: 'share of the text to hold out and evaluate on, of several documents one at least; 0 for none',
  },
  evalData: {
    group: 'data',
    value: 'PATH',
    schema: text.optional(),
    help: 'text to evaluate on, instead of a share of --data',
  },
  evalTokens: {
    group: 'data',
    value: 'N',
    schema: count,
    default: 32_768,
    help: 'the most tokens an evaluation reads',
  },
} as const satisfies Record<string, Option>;
