import { WITH_SHOTS, WRITTEN } from '../evaluation/tasks/registry.js';
import { EVALUATE_OPTIONS, type EvaluateOptions } from '../options/evaluate.js';
import type { TaskName } from '../options/tasks.js';
import { type Dependence, idleAmong } from './dependences.js';

const hasOneOf = (names: readonly TaskName[], { tasks = [] }: EvaluateOptions): boolean =>
  tasks.some((task) => names.includes(task));
const tasksOf = ({ tasks }: EvaluateOptions): string => (tasks ? `--tasks ${tasks.join(',')}` : 'none');

const DEPENDENCES: readonly Dependence<EvaluateOptions>[] = [
  {
    options: ['limit', 'taskData', 'samples'],
    against: ({ tasks }) => tasks === undefined && 'none',
    needs: '--tasks TASK,...',
  },
  {
    options: ['shots'],
    against: (options) => !hasOneOf(WITH_SHOTS, options) && tasksOf(options),
    needs: `one of --tasks ${WITH_SHOTS.join(',')}`,
  },
  {
    options: ['maxTokens'],
    against: (options) => !hasOneOf(WRITTEN, options) && tasksOf(options),
    needs: `one of --tasks ${WRITTEN.join(',')}`,
  },
  {
    options: ['textColumn', 'idsTokenizer', 'lossOn', 'separator', 'onBadDocument', 'sequence'],
    against: ({ perplexity }) => perplexity === undefined && 'none',
    needs: '--perplexity PATH',
  },
  {
    options: ['qmsum'],
    against: (options) =>
      options.perplexity === undefined && !hasOneOf(['qmsum'], options) && tasksOf(options),
    needs: '--perplexity PATH or --tasks qmsum',
  },
  {
    options: ['chatTemplate'],
    against: (options) => options.perplexity === undefined && !asksInChat(options) && tasksOf(options),
    needs: '--perplexity PATH, or --tasks qmsum and --qmsum prompt=chat,',
  },
  {
    options: ['kernels', 'tune'],
    against: ({ device }) => device === 'wasm' && '--device wasm',
    needs: 'a GPU as --device',
  },
];

const asksInChat = (options: EvaluateOptions): boolean =>
  hasOneOf(['qmsum'], options) && options.qmsum?.prompt === 'chat';

/** Options of `evaluate` that were given and would change nothing, in words. */
export const idleEvaluateProblems = (
  given: Readonly<Record<string, unknown>>,
  options: EvaluateOptions,
): string[] => idleAmong(EVALUATE_OPTIONS, DEPENDENCES, { given, options });
