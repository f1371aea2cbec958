import { z } from 'zod';
import { count, positive, text, whole } from './schemas.js';
import type { Option } from './table.js';

/** Tasks that a model can be scored on, in the order of their reports. */
export const TASK_NAMES = [
  'arc_challenge',
  'hellaswag',
  'mmlu',
  'truthfulqa_mc2',
  'winogrande',
  'gsm8k',
  'qmsum',
] as const;

export type TaskName = (typeof TASK_NAMES)[number];

const someTasks = `expected some of ${TASK_NAMES.join(', ')}, with commas between them`;

/** `arc_challenge,mmlu` on the command line, a list in code. */
export const tasks = z.preprocess(
  (given) => {
    const names = typeof given === 'string' ? given.split(',').map((name) => name.trim()) : given;
    return Array.isArray(names) ? [...new Set(names)] : names;
  },
  z.array(z.enum(TASK_NAMES, someTasks), someTasks).min(1, someTasks),
);

/** What is said about tasks. */
export const TASK_OPTIONS = {
  shots: {
    group: 'data',
    value: 'N',
    schema: whole.optional(),
    help:
      'examples shown before each item of --tasks (default: as the Open LLM Leaderboard: arc_challenge 25, hellaswag 10, ' +
      'mmlu 5, winogrande 5, gsm8k 5; truthfulqa_mc2 always has its own, qmsum none)',
  },
  limit: {
    group: 'data',
    value: 'N',
    schema: positive
      .refine((value) => value < 1 || Number.isInteger(value), 'expected a whole number, or a share below 1')
      .optional(),
    help: 'the first items alone of each task, or subject of mmlu: so many, or a share below 1 (default: all)',
  },
  taskData: {
    group: 'data',
    value: 'DIR',
    schema: text.optional(),
    help: 'folder with the data of --tasks, as docs/tasks.md says (default: the data sets on the Hub)',
  },
  maxTokens: {
    group: 'data',
    value: 'N',
    schema: count.optional(),
    help: 'the most tokens of an answer that is written (default: 256)',
  },
  samples: {
    group: 'data',
    value: 'FILE',
    schema: text.optional(),
    help: 'write a line of JSON for each item of --tasks: what was asked, what came of it',
  },
} as const satisfies Record<string, Option>;
