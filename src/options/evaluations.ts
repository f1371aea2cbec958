import { z } from 'zod';
import { count } from './schemas.js';
import type { Option } from './table.js';
import { TASK_NAMES, TASK_OPTIONS, tasks } from './tasks.js';

/** What evaluations of a run measure beside the loss, and what depends on it. */

const { shots, limit, taskData, maxTokens } = TASK_OPTIONS;

/** What is told of the names of metrics. */
const METRICS = 'nll, TASK/METRIC or generate/METRIC';

const metric = z.string().regex(/^(nll|[^/:]+\/[^/:]+)$/, `expected ${METRICS}`);

const METRIC_PATIENCE = /^(nll|[^/:]+\/[^/:]+):(\d{1,9})$/;

const metricPatience = z
  .string()
  .regex(METRIC_PATIENCE, `expected METRIC:PATIENCE, the metric being ${METRICS}`)
  .refine((value) => Number(METRIC_PATIENCE.exec(value)?.[2]) >= 1, 'expected a patience of at least 1');

/** `nll:3` -> nll and 3 evaluations. */
export function parseEarlyStop(value: string): { readonly metric: string; readonly patience: number } {
  const [, name, patience] = METRIC_PATIENCE.exec(value)!;
  return { metric: name!, patience: Number(patience) };
}

const ofEvaluations = (help: string): string => help.replaceAll('--tasks', '--eval-tasks');

export const LOOP_OPTIONS = {
  evalTasks: {
    group: 'run',
    value: 'TASK,...',
    schema: tasks.optional(),
    help: `benchmarks that each evaluation scores the student on, too: ${TASK_NAMES.join(', ')}`,
  },
  shots: { ...shots, group: 'run', help: ofEvaluations(shots.help) },
  limit: { ...limit, group: 'run', help: ofEvaluations(limit.help) },
  taskData: { ...taskData, group: 'run', help: ofEvaluations(taskData.help) },
  evalGenerate: {
    group: 'run',
    value: 'N',
    schema: count.optional(),
    help:
      'held-out prompts with completions, conversations or queries, chosen by --seed, that each evaluation has the ' +
      'student answer: ROUGE and exact match (default: none)',
  },
  maxTokens: { ...maxTokens, group: 'run' },
  keepBest: {
    group: 'run',
    value: 'METRIC',
    schema: metric.optional(),
    help: 'keep what the best evaluation so far was of in best/: nll, or a score such as arc_challenge/acc_norm or generate/rougeL',
  },
  earlyStop: {
    group: 'run',
    value: 'METRIC:PATIENCE',
    schema: metricPatience.optional(),
    help: 'end the run once so many evaluations in a row were no better than the best one before them, at the next evaluation',
  },
} as const satisfies Record<string, Option>;
