import { isDeepStrictEqual } from 'node:util';
import { InputError } from '../base/errors.js';
import { readConfigFile } from '../formats/configFile.js';
import { type RunFile, readRunFile } from '../formats/runFolder.js';
import { flagOf, missingOption, problemsOf, withDefaults } from '../options/table.js';
import { isOperational, TRAIN_OPTIONS, type TrainOptions } from '../options/train.js';
import { hasMiniature, miniaturePaths, QUICKSTART } from './miniature.js';

export type Given = Readonly<Record<string, unknown>>;

/** Options as a run starts with them: the config file, the run it resumes and the defaults fill the gaps, in that order. */
export function resolveOptions(input: Given): TrainOptions {
  const given = withMiniature(withConfigFile(defined(input)));
  if (given.resume && given.out === undefined) {
    throw new InputError('--resume: expected --out with the folder of the run, found none');
  }
  const stored = given.resume ? storedRun(String(given.out)) : undefined;
  const problems = stored ? [] : studentProblems(given);
  problems.push(...problemsOf(TRAIN_OPTIONS, { ...stored?.options, ...given }));
  if (given.steps !== undefined && given.tokens !== undefined) {
    problems.push('--tokens: expected it without --steps, found both; leave one out');
  }
  const { saveDtype, trainable = TRAIN_OPTIONS.trainable.default } = { ...stored?.options, ...given };
  if (saveDtype !== undefined && trainable !== 'all') {
    problems.push(`--save-dtype: expected --trainable all with it, found ${trainable}; leave one out`);
  }
  if (problems.length > 0 && given.resume && !stored) {
    problems.unshift(`--resume: expected a run in ${given.out}, found none; check --out`);
  }
  if (problems.length > 0) throw new InputError(problems.join('; '));
  if (stored) refuseChanges(given, withDefaults(TRAIN_OPTIONS, stored.options));
  return withDefaults(TRAIN_OPTIONS, { ...stored?.options, ...given });
}

/** Runs begun before --bos had the BOS token wherever the tokenizer has one. */
function storedRun(folder: string): RunFile | undefined {
  const stored = readRunFile(folder);
  return stored && { ...stored, options: { bos: 'always', ...stored.options } };
}

/** With no model and no text named, the run is the quickstart on the bundled miniature; what is given wins. */
function withMiniature(given: Given): Given {
  const named = ['student', 'teacher', 'fromConfig', 'data', 'resume'].some(
    (name) => given[name] !== undefined,
  );
  if (named || !hasMiniature()) return given;
  const { student, teacher, corpus, heldOut } = miniaturePaths();
  return { ...QUICKSTART, student, teacher, data: [corpus], evalData: heldOut, ...given };
}

/** A student is given, or made from a config, which is only possible when all of it is trained. */
function studentProblems({ student, fromConfig, trainable, init }: Given): string[] {
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
  if (init !== undefined && trainable === 'all') {
    problems.push('--init: expected --trainable lora, found all; leave one out');
  }
  return problems;
}

/** What is given beside a config file wins. */
function withConfigFile(given: Given): Given {
  if (typeof given.config !== 'string') return given;
  const inFile = readConfigFile(given.config, TRAIN_OPTIONS);
  // Either says how long the run is: one that is given replaces the other one, too.
  if (given.steps !== undefined) delete inFile.tokens;
  if (given.tokens !== undefined) delete inFile.steps;
  return { ...inFile, ...given };
}

const defined = (values: Given): Given =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));

function refuseChanges(given: Given, stored: TrainOptions): void {
  const before = stored as Readonly<Record<string, unknown>>;
  const changed = Object.keys(given).filter((name) => {
    if (isOperational(name) || name === 'out') return false;
    const option = TRAIN_OPTIONS[name as keyof typeof TRAIN_OPTIONS];
    return !isDeepStrictEqual(option.schema.parse(given[name]), before[name]);
  });
  if (changed.length === 0) return;
  const list = changed
    .map((name) => `${flagOf(name)} ${before[name] ?? 'left out'} (found ${given[name]})`)
    .join(', ');
  throw new InputError(
    `--resume: expected the options of the run: ${list}; leave them out, or start a new run`,
  );
}
