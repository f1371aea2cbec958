import { z } from 'zod';
import { InputError } from '../base/errors.js';
import { DATA_OPTIONS } from './data.js';
import { EVALUATE_OPTIONS } from './evaluate.js';
import { PRINTING_FLAGS } from './printing.js';
import { count, notNegative, positive, share, text, toggle, whole } from './schemas.js';
import { flagOf, type Given, type Option, type Resolved } from './table.js';

const { model, adapter, device, kernels, tune, threads } = EVALUATE_OPTIONS;

/** How the next token is chosen, and when there is none. */
export const SAMPLING_OPTIONS = {
  maxTokens: {
    group: 'run',
    value: 'N',
    schema: count,
    default: 256,
    help: 'new tokens of a completion, at most',
  },
  temperature: {
    group: 'run',
    value: 'X',
    schema: notNegative,
    default: 0,
    help: 'logits are divided by it before a token is drawn; 0 takes the likeliest one',
  },
  topK: {
    group: 'run',
    value: 'N',
    schema: whole,
    default: 0,
    help: 'draw from the N likeliest tokens; 0: from all',
  },
  topP: {
    group: 'run',
    value: 'P',
    schema: share.refine((value) => value > 0, 'expected above 0'),
    default: 1,
    help: 'draw from the likeliest tokens that together have at least this probability',
  },
  minP: {
    group: 'run',
    value: 'P',
    schema: share,
    default: 0,
    help: "draw from tokens with at least this share of the likeliest one's probability",
  },
  repetitionPenalty: {
    group: 'run',
    value: 'X',
    schema: positive,
    default: 1,
    help: 'above 1 makes tokens that are there already less likely',
  },
  stop: {
    group: 'run',
    value: 'TEXT',
    schema: z.array(text, 'expected a list of texts'),
    default: [],
    many: true,
    help: 'text that ends a completion, and is no part of it; may be repeated (default: the end-of-text tokens alone)',
  },
  seed: { group: 'run', value: 'N', schema: whole, default: 0, help: 'of what is drawn' },
} as const satisfies Record<string, Option>;

/** Those of them that only say how a token is drawn. */
const DRAWING = ['topK', 'topP', 'minP', 'seed'] as const;

/** @throws InputError for an option that changes nothing, as the likeliest token is taken */
export function checkDrawing(
  options: Resolved<Pick<typeof SAMPLING_OPTIONS, DrawingName | 'temperature'>>,
): void {
  if (options.temperature > 0) return;
  const idle = DRAWING.find((name) => options[name] !== SAMPLING_OPTIONS[name].default);
  if (idle === undefined) return;
  throw new InputError(
    `${flagOf(idle)}: expected a --temperature above 0 with it, found 0, which draws nothing; leave it out or give one`,
  );
}

type DrawingName = (typeof DRAWING)[number];

/** The options of `generate`. */
export const GENERATE_OPTIONS = {
  model,
  adapter,
  prompt: { group: 'data', value: 'TEXT', schema: text.optional(), help: 'a text to go on with' },
  data: {
    group: 'data',
    value: 'FILE',
    schema: text.optional(),
    help: 'a .jsonl file with a prompt on each line: {"prompt": TEXT}, {"ids": [...]} or {"messages": [...]}',
  },
  chatTemplate: {
    ...DATA_OPTIONS.chatTemplate,
    help: DATA_OPTIONS.chatTemplate.help.replace("student's", "model's"),
  },
  ...SAMPLING_OPTIONS,
  batch: { group: 'run', value: 'N', schema: count, default: 8, help: 'prompts at once' },
  device,
  kernels,
  tune,
  threads,
} as const satisfies Record<string, Option>;

/** Tokens of a conversation, unless told otherwise and where the model has as many positions. */
export const CHAT_CONTEXT = 4096;

/** The flags of the program `generate`. */
export const GENERATE_FLAGS = {
  ...GENERATE_OPTIONS,
  chat: {
    group: 'data',
    schema: toggle,
    default: false,
    help: 'talk with the model: a line is a turn, Ctrl-D the end',
  },
  system: {
    group: 'data',
    value: 'TEXT',
    schema: text.optional(),
    help: 'of --chat: what the conversation begins with',
  },
  context: {
    group: 'run',
    value: 'N',
    schema: count.optional(),
    help: `of --chat: tokens of a conversation, at most (default: ${CHAT_CONTEXT}, or the model's positions)`,
  },
  ...PRINTING_FLAGS,
} as const satisfies Record<string, Option>;

export type GenerateInput = Given<typeof GENERATE_OPTIONS>;
