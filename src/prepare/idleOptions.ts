import { isDeepStrictEqual } from 'node:util';
import { flagOf } from '../options/table.js';
import { TRAIN_OPTIONS, type TrainOptions } from '../options/train.js';

type Name = keyof TrainOptions;

/** Options that do nothing unless another one says so. */
interface Dependence {
  readonly options: readonly Name[];
  readonly isIdle: (options: TrainOptions) => boolean;
  /** What they would need. */
  readonly needs: string;
}

const devices = ({ device, teacherDevice = device }: TrainOptions) => [device, teacherDevice];

const DEPENDENCES: readonly Dependence[] = [
  {
    options: ['alpha', 'divergence', 'beta', 'temperature', 'teacherDevice'],
    isIdle: ({ teacher }) => teacher === 'none',
    needs: '--teacher',
  },
  { options: ['beta'], isIdle: ({ divergence }) => divergence !== 'jsd', needs: '--divergence jsd' },
  { options: ['decay'], isIdle: ({ schedule }) => schedule !== 'wsd', needs: '--schedule wsd' },
  {
    options: [
      ...(['rank', 'loraAlpha', 'rslora', 'loraDropout', 'loraPlus'] as const),
      ...(['targetModules', 'rankPattern', 'alphaPattern'] as const),
    ],
    isIdle: ({ trainable }) => trainable === 'all',
    needs: '--trainable lora',
  },
  { options: ['saveDtype'], isIdle: ({ trainable }) => trainable !== 'all', needs: '--trainable all' },
  { options: ['evalFraction'], isIdle: ({ evalData }) => evalData !== undefined, needs: 'no --eval-data' },
  {
    options: ['kernels', 'tune'],
    isIdle: (options) => devices(options).every((device) => device === 'wasm'),
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
  for (const { options: names, isIdle, needs } of DEPENDENCES) {
    if (!isIdle(options)) continue;
    for (const name of names.filter((one) => isSaid(one) && !found.has(one))) {
      found.set(
        name,
        `${flagOf(name)}: expected ${needs} with it, found none: it would change nothing; leave it out`,
      );
    }
  }
  return [...found.values()];
}
