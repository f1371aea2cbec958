import { z } from 'zod';
import { PRINTING_FLAGS } from './printing.js';
import { text } from './schemas.js';
import type { Given, Option } from './table.js';

/** The options of `merge`. */
export const MERGE_OPTIONS = {
  model: {
    group: 'model',
    value: 'MODEL',
    schema: text,
    help: 'the model that the adapters are for: a Hugging Face folder, or owner/name[@revision] on the Hub',
  },
  adapter: {
    group: 'model',
    value: 'ADAPTER',
    schema: z.array(text, 'expected a list of adapters').min(1, 'expected at least one adapter'),
    many: true,
    help:
      'a PEFT adapter for it: a folder, that of a run too, or owner/name; may be repeated, each times a weight, as in ' +
      'other:0.5 (default: 1)',
  },
  out: {
    group: 'run',
    value: 'DIR',
    schema: text,
    help: 'a new folder for the merged model; an empty one is taken too',
  },
} as const satisfies Record<string, Option>;

/** The flags of the program `merge`. */
export const MERGE_FLAGS = { ...MERGE_OPTIONS, ...PRINTING_FLAGS } as const;

export type MergeInput = Given<typeof MERGE_OPTIONS>;
