import { isDeepStrictEqual } from 'node:util';
import { excerpt, InputError } from '../base/errors.js';
import { readConfigFile } from '../formats/configFile.js';
import { type RunFile, readRunFile } from '../formats/runFile.js';
import { flagOf, givenOptions, missingOption, problemsOf, withDefaults } from '../options/table.js';
import { isForkable, isOperational, TRAIN_OPTIONS, type TrainOptions } from '../options/train.js';
import { idleProblems } from './idleOptions.js';
import { hasMiniature, miniaturePaths, QUICKSTART } from './miniature.js';
import { forkedRun } from './origin.js';

export type Given = Readonly<Record<string, unknown>>;

/** A run as it is asked for. */
export interface RunRequest {
  /** All of them, see `resolveOptions`. */
  readonly options: TrainOptions;
  /** Those that somebody gave, here or in the config file. */
  readonly given: Given;
  /** What run.json says of the run that goes on or is forked. */
  readonly before: RunFile | undefined;
}

/**
 * Options as a run starts with them: the config file, the run it resumes or is forked from and the defaults fill the
 * gaps, in that order. Files of options are read here, once.
 * @throws InputError with everything that is wrong
 */
export function resolveOptions(input: Given): RunRequest {
  const given = withMiniature(withConfigFile(defined(givenOptions(input))));
  if (given.resume && given.out === undefined) {
    throw new InputError('--resume: expected --out with the folder of the run, found none');
  }
  const run = runBefore(given);
  const stored = run && storedOptions(given, run);
  const problems = stored ? [] : studentProblems(given);
  const all = { ...withoutLength(stored ?? {}, given), ...given };
  problems.push(...problemsOf(TRAIN_OPTIONS, all));
  const lengths = LENGTHS.filter((name) => given[name] !== undefined).map(flagOf);
  if (lengths.length > 1) {
    problems.push(`${lengths[1]}: expected it without ${lengths[0]}, found both; leave one out`);
  }
  if (problems.length > 0 && given.resume && !stored) {
    problems.unshift(`--resume: expected a run in ${given.out}, found none; check --out`);
  }
  if (problems.length > 0) throw new InputError(problems.join('; '));
  const before = stored && withDefaults(TRAIN_OPTIONS, stored);
  const changes = before ? changesOf(given, before) : given;
  if (before) refuseChanges(changes, before, given.resume ? '--resume' : '--fork');
  const options = withDefaults(TRAIN_OPTIONS, all);
  const idle = idleProblems(changes, options);
  if (idle.length > 0) throw new InputError(idle.join('; '));
  return { options, given, before: run };
}

/** The run that this one continues or is forked from, as its run.json says. */
function runBefore({ resume, fork, out }: Given): RunFile | undefined {
  if (resume) return readRunFile(String(out));
  return typeof fork === 'string' ? forkedRun(fork) : undefined;
}

/** Each says how long a run is: one that is given replaces the others. */
const LENGTHS = ['steps', 'tokens', 'epochs'] as const;

function withoutLength(options: Given, given: Given): Given {
  if (LENGTHS.every((name) => given[name] === undefined)) return options;
  return Object.fromEntries(
    Object.entries(options).filter(([name]) => !(LENGTHS as readonly string[]).includes(name)),
  );
}

/** Runs begun before --bos had the BOS token wherever the tokenizer has one. */
const BEFORE_BOS = { bos: 'always' } as const;

/**
 * Those of the run that goes on; a fork has a folder and, with another batch, a micro-batch and the steps of its epochs of
 * its own.
 */
function storedOptions({ resume, batch }: Given, before: RunFile): Given {
  if (resume) return { ...BEFORE_BOS, ...before.options };
  const { out: _, fork: __, ...options } = { ...BEFORE_BOS, ...before.options } as Given;
  if (batch === undefined) return options;
  const { microBatch: ___, steps, ...others } = options;
  return options.epochs === undefined ? { ...others, steps } : others;
}

/** With no model and no text named, the run is the quickstart on the bundled miniature; what is given wins. */
export function withMiniature(given: Given): Given {
  const named = ['student', 'teacher', 'fromConfig', 'data', 'resume', 'fork'].some(
    (name) => given[name] !== undefined,
  );
  if (named || !hasMiniature()) return given;
  const { student, teacher, corpus, heldOut } = miniaturePaths();
  return {
    ...withoutLength(QUICKSTART, given),
    student,
    teacher,
    data: [corpus],
    evalData: heldOut,
    ...given,
  };
}

/** A student is given, or made from a config, which is only possible when all of it is trained. */
function studentProblems({ student, fromConfig, trainable }: Given): string[] {
  const problems: string[] = [];
  if (student === undefined && fromConfig === undefined) {
    problems.push(missingOption('student', TRAIN_OPTIONS.student));
  }
  if (student !== undefined && fromConfig !== undefined) {
    problems.push('--from-config: expected it without --student, found both; leave one out');
  }
  if (fromConfig !== undefined && trainable !== 'all') {
    problems.push('--from-config: expected --trainable all with it, found none');
  }
  return problems;
}

/** What is given beside a config file wins. */
function withConfigFile(given: Given): Given {
  if (typeof given.config !== 'string') return given;
  const inFile = withoutLength(readConfigFile(given.config, TRAIN_OPTIONS), given);
  return { ...inFile, ...given };
}

const defined = (values: Given): Given =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));

/** Maps as JSON, all else as on a command line. */
const told = (value: unknown): string =>
  typeof value === 'object' && !Array.isArray(value) ? excerpt(value) : String(value);

/** Which steps are evaluated is then a part of what the run comes to. */
const decidesByEvaluations = ({ keepBest, earlyStop }: TrainOptions): boolean =>
  keepBest !== undefined || earlyStop !== undefined;

/** What is given and says something else than the run that goes on or is forked. */
function changesOf(given: Given, before: Given): Given {
  const isOther = (name: string) => {
    const option = TRAIN_OPTIONS[name as keyof typeof TRAIN_OPTIONS];
    return !isDeepStrictEqual(option.schema.parse(given[name]), before[name]);
  };
  return Object.fromEntries(Object.entries(given).filter(([name]) => isOther(name)));
}

/** Of a resumed run: those that are not operational, its length apart. Of a fork: those that it can't have. */
function refuseChanges(changes: Given, before: TrainOptions, flag: '--resume' | '--fork'): void {
  const mayChange =
    flag === '--resume'
      ? (name: string) =>
          (isOperational(name) && !(name === 'evalEvery' && decidesByEvaluations(before))) ||
          name === 'out' ||
          (LENGTHS as readonly string[]).includes(name)
      : isForkable;
  const changed = Object.keys(changes).filter((name) => !mayChange(name));
  if (changed.length === 0) return;
  const list = changed
    .map(
      (name) =>
        `${flagOf(name)} ${told(before[name as keyof TrainOptions] ?? 'left out')} (found ${told(changes[name])})`,
    )
    .join(', ');
  throw new InputError(
    `${flag}: expected the options of the run: ${list}; leave them out, or start a new run`,
  );
}
