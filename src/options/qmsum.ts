import { z } from 'zod';
import { named, number } from './schemas.js';

/** How queries about meetings, as QMSum has them, become examples. */

/** Names of the parts, for messages. */
const PARTS = 'transcript, queries, tokens, keep or prompt';
const TOKENS = 'expected tokens to be all or a whole number of at least 1';

/** `transcript=whole,tokens=2000` on the command line, a map in files and code. */
export const qmsum = named(
  'NAME=VALUE',
  z.strictObject(
    {
      transcript: part('transcript', 'spans', 'whole').default('spans'),
      queries: part('queries', 'specific', 'all').default('specific'),
      tokens: z
        .union([z.literal('all'), number((value) => value.int(TOKENS).min(1, TOKENS), TOKENS)], TOKENS)
        .default(768),
      keep: part('keep', 'head', 'tail', 'middle', 'ends').default('head'),
      prompt: part('prompt', 'text', 'chat').default('text'),
    },
    `expected ${PARTS}, each with its value`,
  ),
);

function part<const T extends string>(name: string, ...values: [T, ...T[]]) {
  return z.enum(values, `expected ${name} to be ${values.join(' | ')}`);
}

/** All parts, with their defaults filled in. */
export interface QmsumOptions {
  /** The turns that are relevant to a query, or all; general queries are always about all. */
  readonly transcript: 'spans' | 'whole';
  /** The specific ones, or the general ones too, which come first. */
  readonly queries: 'specific' | 'all';
  /** The most tokens of a transcript that are kept. */
  readonly tokens: number | 'all';
  /** Which words of a longer one. */
  readonly keep: 'head' | 'tail' | 'middle' | 'ends';
  /** A prompt and its completion, or two turns of a conversation. */
  readonly prompt: 'text' | 'chat';
}

export const QMSUM_DEFAULTS: QmsumOptions = qmsum.parse({});

/** As it is written on a command line. */
export const qmsumText = (options: QmsumOptions): string =>
  Object.entries(options)
    .map(([name, value]) => `${name}=${value}`)
    .join();
