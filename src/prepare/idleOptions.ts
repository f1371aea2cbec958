import { WITH_SHOTS, WRITTEN } from '../evaluation/tasks/registry.js';
import type { TaskName } from '../options/tasks.js';
import { TRAIN_OPTIONS, type TrainOptions } from '../options/train.js';
import { type Dependence, idleAmong } from './dependences.js';
import { evaluates, hasHeldOutText } from './evaluates.js';

type Name = keyof TrainOptions;

const devices = ({ device, teacherDevice = device }: TrainOptions) => [device, teacherDevice];

const evaluatesOneOf = (names: readonly TaskName[], { evalTasks = [] }: TrainOptions): boolean =>
  evalTasks.some((task) => names.includes(task));
const tasksOf = ({ evalTasks }: TrainOptions): string =>
  evalTasks ? `--eval-tasks ${evalTasks.join(',')}` : 'none';

const DEPENDENCES: readonly Dependence<TrainOptions>[] = [
  {
    options: ['alpha', 'divergence', 'beta', 'temperature', 'teacherDevice', 'teacherCache'],
    against: ({ teacher }) => teacher === 'none' && '--teacher none',
    needs: '--teacher MODEL',
  },
  {
    options: ['teacherCacheDtype'],
    against: ({ teacherCache }) => teacherCache === undefined && 'none',
    needs: '--teacher-cache DIR',
  },
  {
    options: ['beta'],
    against: ({ divergence }) => divergence !== 'jsd' && `--divergence ${divergence}`,
    needs: '--divergence jsd',
  },
  {
    options: ['decay'],
    against: ({ schedule }) => schedule !== 'wsd' && `--schedule ${schedule}`,
    needs: '--schedule wsd',
  },
  {
    options: [
      'init',
      'rank',
      'loraAlpha',
      'rslora',
      'loraDropout',
      'loraPlus',
      'targetModules',
      'rankPattern',
      'alphaPattern',
    ],
    against: ({ trainable }) => trainable === 'all' && '--trainable all',
    needs: '--trainable lora',
  },
  {
    options: ['saveDtype'],
    against: ({ trainable }) => trainable !== 'all' && `--trainable ${trainable}`,
    needs: '--trainable all',
  },
  {
    options: ['evalFraction'],
    against: ({ evalData }) => evalData !== undefined && `--eval-data ${evalData}`,
    needs: 'no --eval-data',
  },
  {
    options: ['limit', 'taskData'],
    against: ({ evalTasks }) => evalTasks === undefined && 'none',
    needs: '--eval-tasks TASK,...',
  },
  {
    options: ['shots'],
    against: (options) => !evaluatesOneOf(WITH_SHOTS, options) && tasksOf(options),
    needs: `one of --eval-tasks ${WITH_SHOTS.join(',')}`,
  },
  {
    options: ['maxTokens'],
    against: (options) =>
      options.evalGenerate === undefined && !evaluatesOneOf(WRITTEN, options) && tasksOf(options),
    needs: `one of --eval-tasks ${WRITTEN.join(',')}, or --eval-generate N,`,
  },
  {
    options: ['evalGenerate', 'evalTokens'],
    against: (options) => !hasHeldOutText(options) && 'nothing held out',
    needs: '--eval-data PATH or --eval-fraction F',
  },
  {
    options: ['evalEvery', 'keepBest', 'earlyStop'],
    against: (options) => !evaluates(options) && 'no evaluations',
    needs: '--eval-data PATH, --eval-fraction F or --eval-tasks TASK,...',
  },
  {
    options: ['kernels', 'tune'],
    against: (options) => devices(options).every((device) => device === 'wasm') && '--device wasm',
    needs: 'a GPU as --device',
  },
];

/** What says that nothing is wanted, which is so. */
const NONE: Partial<Record<Name, unknown>> = { alpha: 0, evalFraction: 0 };

/** Options that were given and would change nothing, in words. */
export const idleProblems = (given: Readonly<Record<string, unknown>>, options: TrainOptions): string[] =>
  idleAmong(TRAIN_OPTIONS, DEPENDENCES, { given, options, none: NONE });

/** Options that change nothing beside the others, whatever they say. */
export const uselessOptions = (options: TrainOptions): Name[] =>
  DEPENDENCES.flatMap(({ options: names, against }) => (against(options) ? names : []));
