import { basename, dirname, extname } from 'node:path';
import { isScalar, LineCounter, visit } from 'yaml';
import { z } from 'zod';
import { excerpt, InputError } from '../base/errors.js';
import { nearestName } from '../base/nearestName.js';
import { parseYaml } from '../formats/configFile.js';
import { measuresSchema } from './measures/wanted.js';

/** What a study is asked to be: the form of its YAML file (docs/study.md). */

const count = z.int('expected a whole number').min(1, 'expected at least 1');
const positive = z.number('expected a number').positive('expected a number above 0');
const share = z.number('expected a number').min(0, 'expected 0 to 1').max(1, 'expected 0 to 1');
const options = z.record(z.string(), z.unknown(), 'expected names with values');

/** A list of values of an option, or names with the options that each stands for. */
const axis = z.union(
  [z.array(z.union([z.string(), z.number(), z.boolean()])).min(1), z.record(z.string(), options.nullable())],
  'expected a list of values, or names with the options of each; at least one',
);

const LENGTH = 'expected {tokens: N}, {steps: N} or both';

const isEachOnce = (values: readonly unknown[]): boolean => new Set(values).size === values.length;

const rates = z.union(
  [
    z.array(positive).min(1, 'expected at least one rate').refine(isEachOnce, 'expected each rate once'),
    z.strictObject({
      from: z.union([positive, z.record(z.string(), positive)]),
      points: count.default(3),
      extensions: z.int().min(0).default(8),
    }),
  ],
  'expected a list of rates, or {from: RATE, points: N, extensions: N}',
);

const branches = z.strictObject({
  /** Batch sizes over that of the cell. */
  factors: z
    .array(positive, 'expected a list of factors')
    .min(1, 'expected at least one factor')
    .refine(isEachOnce, 'expected each factor once'),
  /** Which of the cell's checkpoints, from 1; default: all but the last. */
  at: z
    .array(count)
    .min(1, 'expected at least one checkpoint')
    .refine(isEachOnce, 'expected each checkpoint once')
    .optional(),
  tokens: count,
  /** Axes of the lines whose best cells branch; default: all. */
  where: z.record(z.string(), z.union([z.string(), z.number()])).default({}),
});

/** At the best rate there are those that are everywhere, too. */
const spread = z
  .strictObject({ everywhere: count.default(1), best: count.optional() })
  .transform(({ everywhere, best = Math.max(3, everywhere) }) => ({ everywhere, best }))
  .refine(({ everywhere, best }) => best >= everywhere, 'expected at best as many as everywhere, or more');

const schema = z.strictObject(
  {
    name: z.string().optional(),
    /** Of `train`, for all cells. */
    options: options.default({}),
    axes: z.looseObject({ lr: rates.optional() }).default({}),
    seeds: z.union([count, spread], 'expected a number, or {everywhere: N, best: N}').default(1),
    length: z
      .strictObject({ tokens: count.optional(), steps: count.optional() }, LENGTH)
      .refine(({ tokens, steps }) => tokens !== undefined || steps !== undefined, LENGTH),
    /** Share of a cell's steps. */
    warmup: share.default(0.05),
    /** Held-out losses on the way, and checkpoints, evenly spaced. */
    curve: count.default(4),
    checkpoints: count.default(4),
    branches: branches.optional(),
    measures: measuresSchema.prefault({}),
  },
  'expected names with values, as docs/study.md has them',
);

type Parsed = z.infer<typeof schema>;

export interface StudyConfig extends Omit<Parsed, 'name' | 'axes' | 'seeds'> {
  readonly name: string;
  readonly lr: z.infer<typeof rates> | undefined;
  /** All others. */
  readonly axes: Readonly<Record<string, z.infer<typeof axis>>>;
  readonly seeds: { readonly everywhere: number; readonly best: number };
  /** Paths in the file are relative to it. */
  readonly folder: string;
  /** As it was read. */
  readonly written: Readonly<Record<string, unknown>>;
}

/** Whether a study's file, as it was written, has its lines look for their rates among several. */
export function searchesRates({ axes }: StudyConfig['written']): boolean {
  const { data: lr } = rates.safeParse((axes as { readonly lr?: unknown } | undefined)?.lr);
  if (lr === undefined) return false;
  return Array.isArray(lr) ? lr.length > 1 : lr.points + lr.extensions > 1;
}

/** What an object has in place of an entry of that name: the entry would be lost. */
const PROTOTYPE = '__proto__';

/** @throws InputError naming the line of everything that is wrong in it */
export function readStudyConfig(path: string): StudyConfig {
  const lines = new LineCounter();
  const document = parseYaml(path, lines);
  visit(document, {
    Pair: (_, { key }) => {
      if (!isScalar(key) || key.value !== PROTOTYPE) return;
      const line = lines.linePos(key.range![0]).line;
      throw new InputError(`${path}:${line}: expected another name, found ${PROTOTYPE}; rename it`);
    },
  });
  const written: unknown = document.toJS();
  const name = basename(path, extname(path));
  const lineOf = (field: readonly PropertyKey[]): string => {
    for (let depth = field.length; depth > 0; depth--) {
      const node = document.getIn(field.slice(0, depth), true) as { range?: [number] } | undefined;
      if (node?.range) return `:${lines.linePos(node.range[0]).line}`;
    }
    return '';
  };
  return checkStudyConfig(written, { name, folder: dirname(path), label: path, lineOf });
}

interface Setting {
  /** Of a study that gives none. */
  readonly name: string;
  readonly folder: string;
  /** Where it is from, for messages, and the line of a field there. */
  readonly label: string;
  readonly lineOf?: (field: readonly PropertyKey[]) => string;
}

/** Checks the form of a study. What its options say is checked cell by cell, see `linesOf`. @throws InputError */
export function checkStudyConfig(
  written: unknown,
  { name, folder, label, lineOf = () => '' }: Setting,
): StudyConfig {
  const refuse = (problems: readonly string[]): never => {
    throw new InputError(problems.join('; '));
  };
  const checked = schema.safeParse(written, { reportInput: true });
  if (!checked.success) {
    return refuse(checked.error.issues.map((issue) => `${label}${lineOf(issue.path)}: ${problemOf(issue)}`));
  }
  const { axes: all, seeds, ...rest } = checked.data;
  const { lr, ...others } = all;
  const axes: Record<string, z.infer<typeof axis>> = {};
  for (const [key, value] of Object.entries(others)) {
    const one = axis.safeParse(value);
    const isEmpty = one.success && Object.keys(one.data).length === 0;
    if (!one.success || isEmpty) {
      const expected = 'a list of values, or names with the options of each; at least one';
      return refuse([
        `${label}${lineOf(['axes', key])}: axes.${key}: expected ${expected}, found ${excerpt(value)}`,
      ]);
    }
    axes[key] = one.data;
  }
  return {
    ...rest,
    ...{ name: rest.name ?? name, lr, axes, folder, written: written as StudyConfig['written'] },
    seeds: typeof seeds === 'number' ? { everywhere: seeds, best: seeds } : seeds,
  };
}

function problemOf(issue: z.core.$ZodIssue): string {
  const field = issue.path.join('.');
  if (issue.code === 'unrecognized_keys') {
    const [unknown] = issue.keys;
    const known = Object.keys(field === '' ? schema.shape : {});
    const nearest = nearestName(unknown!, known);
    const advice = nearest === undefined ? 'see docs/study.md' : `did you mean ${nearest}?`;
    return `unknown ${field === '' ? 'field' : `field of ${field}`} ${unknown}; ${advice}`;
  }
  const message = issue.message.replace(/^Invalid input: |, received .*$/g, '');
  return `${field === '' ? 'study' : field}: ${message}, found ${issue.input === undefined ? 'nothing' : excerpt(issue.input)}`;
}
