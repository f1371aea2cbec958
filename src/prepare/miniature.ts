import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { readJsonFile } from '../formats/json.js';

/** Absolute paths of the bundled miniature. */
export interface MiniaturePaths {
  /** Hugging Face folders, bf16, with the same tokenizer. */
  readonly student: string;
  readonly teacher: string;
  /**
   * Text to train on and text held out of everything, one document a line. They are stored although the grammar could
   * make them again: so they can be read, given to any program as ordinary `--data`, and never change with the code.
   */
  readonly corpus: string;
  readonly heldOut: string;
  /**
   * What studies measure by, held out as well: text of the kind that the student was made from, and prompts with their
   * completions, of which the first are answers to questions and the second results of sums.
   */
  readonly general: string;
  readonly puzzles: string;
  readonly arithmetic: string;
  /** What runs on it have reached: see `MiniatureResults`. */
  readonly results: string;
}

/** Where the miniature is, or is to be made, in this installation. */
export function miniaturePaths(
  folder = fileURLToPath(new URL('../../miniature', import.meta.url)),
): MiniaturePaths {
  return {
    student: join(folder, 'student'),
    teacher: join(folder, 'teacher'),
    corpus: join(folder, 'corpus.jsonl'),
    heldOut: join(folder, 'heldout.jsonl'),
    general: join(folder, 'general.jsonl'),
    puzzles: join(folder, 'puzzles.jsonl'),
    arithmetic: join(folder, 'arithmetic.jsonl'),
    results: join(folder, 'results.json'),
  };
}

/** Whether all of it is there. */
export const hasMiniature = (paths = miniaturePaths()): boolean =>
  Object.values(paths).every((path: string) => existsSync(path));

/**
 * The options of the quickstart, beside the models and texts; what is left out is as everywhere. Evaluations read the
 * first 226 held-out documents.
 */
export const QUICKSTART = {
  sequence: 128,
  batch: 64,
  steps: 120,
  rank: 8,
  lr: 1e-2,
  evalTokens: 18_560,
} as const;

const reached = z.object({
  /** Held-out loss in nats per token, by seed, and what follows from them. */
  nll: z.array(z.number()).min(2),
  mean: z.number(),
  /** Sample standard deviation. */
  spread: z.number().min(0),
});

const resultsSchema = z.object({
  options: z.looseObject({}),
  seeds: z.array(z.int()),
  /** Held-out losses in nats per token of the two models as they are. */
  student: z.number(),
  teacher: z.number(),
  /** Adapters after training on the text alone, and on text and teacher. */
  cpt: reached,
  cptKd: reached,
});

export type Reached = z.infer<typeof reached>;
export type MiniatureResults = z.infer<typeof resultsSchema>;

/** @throws InputError when the file is not there or not as it should be */
export const readMiniatureResults = (path = miniaturePaths().results): MiniatureResults =>
  readJsonFile(path, resultsSchema);
