import { isDeepStrictEqual } from 'node:util';
import { flagOf } from '../options/table.js';
import { TRAIN_OPTIONS, type TrainOptions } from '../options/train.js';
import { evaluates, hasHeldOutText } from './evaluates.js';

type Name = keyof TrainOptions;

/** Options that do nothing unless another one says so. */
interface Dependence {
  readonly options: readonly Name[];
  /** The one that says so, where it says something else: `--schedule cosine`. */
  readonly against: (options: TrainOptions) => string | false;
  /** What it would have to say. */
  readonly needs: string;
}

const devices = ({ device, teacherDevice = device }: TrainOptions) => [device, teacherDevice];

const DEPENDENCES: readonly Dependence[] = [
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
    options: ['shots', 'limit', 'taskData'],
    against: ({ evalTasks }) => evalTasks === undefined && 'none',
    needs: '--eval-tasks TASK,...',
  },
  {
    options: ['maxTokens'],
    against: ({ evalTasks, evalGenerate }) => evalTasks === undefined && evalGenerate === undefined && 'none',
    needs: '--eval-tasks TASK,... or --eval-generate N',
  },
  {
    options: ['evalGenerate'],
    against: (options) => !hasHeldOutText(options) && 'nothing held out',
    needs: '--eval-data PATH or --eval-fraction F',
  },
  {
    options: ['keepBest', 'earlyStop'],
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

/**
 * Options that were given and would change nothing, in words. One that says what holds anyway (its default; an alpha of
 * 0 without a teacher) is no slip.
 */
export function idleProblems(given: Readonly<Record<string, unknown>>, options: TrainOptions): string[] {
  const isSaid = (name: Name) => {
    const option = TRAIN_OPTIONS[name];
    const fallback = 'default' in option ? option.default : undefined;
    if (given[name] === undefined || isDeepStrictEqual(options[name], fallback)) return false;
    return options[name] !== NONE[name];
  };
  const found = new Map<Name, string>();
  for (const { options: names, against, needs } of DEPENDENCES) {
    const other = against(options);
    if (!other) continue;
    for (const name of names.filter((one) => isSaid(one) && !found.has(one))) {
      found.set(name, `${flagOf(name)}: expected ${needs} with it, found ${other}; leave one out`);
    }
  }
  return [...found.values()];
}

/** Options that change nothing beside the others, whatever they say. */
export const uselessOptions = (options: TrainOptions): Name[] =>
  DEPENDENCES.flatMap(({ options: names, against }) => (against(options) ? names : []));
