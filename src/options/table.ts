import type { z } from 'zod';
import { excerpt, InputError } from '../base/errors.js';
import { unknownOption } from '../base/nearestName.js';
import type { QmsumOptions } from './qmsum.js';

/** One row of the table that flags, defaults, checks, help texts and the README all come from. */
export interface Option {
  /** What the value stands for in help; absent for a switch. */
  readonly value?: string;
  readonly help: string;
  readonly group: 'model' | 'data' | 'objective' | 'adapter' | 'optimizer' | 'run';
  readonly schema: z.ZodType;
  /** Absent: required, or derived where `help` says so. */
  readonly default?: unknown;
  /** May be given several times. */
  readonly many?: true;
  /** May change on --resume: it has no influence on the result. */
  readonly operational?: true;
}

export type OptionTable = Readonly<Record<string, Option>>;
type Output<O> = O extends { schema: z.ZodType<infer T> } ? T : never;
export type Resolved<T extends OptionTable> = { -readonly [K in keyof T]: Output<T[K]> };
type Optional<T extends OptionTable> = {
  [K in keyof T]: T[K] extends { default: unknown } ? K : undefined extends Output<T[K]> ? K : never;
}[keyof T];

/** What a caller gives for a value: of a map whose parts have defaults some of them, of a list one that need not change. */
export type InPart<T> = T extends QmsumOptions
  ? Partial<T>
  : T extends readonly (infer E)[]
    ? readonly E[]
    : T;

type InParts<T> = { [K in keyof T]: InPart<T[K]> };

/** What a caller gives: options with a default may be left out. */
export type Given<T extends OptionTable> = Partial<InParts<Pick<Resolved<T>, Optional<T>>>> &
  InParts<Omit<Resolved<T>, Optional<T>>>;
/** `loraAlpha` -> `--lora-alpha`. */
export const flagOf = (name: string): string =>
  `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;

/** The option of that name; names that objects inherit are none. */
export const optionOf = (table: OptionTable, name: string): Option | undefined =>
  Object.hasOwn(table, name) ? table[name] : undefined;

/** Options of a table that are wrong, in words: `--batch: expected at least 1, found 0`. */
export function problemsOf(table: OptionTable, given: Readonly<Record<string, unknown>>): string[] {
  const problems: string[] = [];
  for (const [name, value] of Object.entries(given)) {
    const option = optionOf(table, name);
    if (!option) {
      problems.push(unknownOption(flagOf(name), Object.keys(table).map(flagOf)));
    } else if (value !== undefined) {
      const problem = problemOf(option, value);
      if (problem !== undefined) problems.push(`${flagOf(name)}: ${problem}, found ${shown(value)}`);
    }
  }
  for (const [name, option] of Object.entries(table)) {
    const missing = given[name] === undefined && option.default === undefined;
    if (missing && !option.schema.safeParse(undefined).success) problems.push(missingOption(name, option));
  }
  return problems;
}

/** What was expected of a value; undefined where that is what it is. */
function problemOf({ schema }: Option, value: unknown): string | undefined {
  const result = schema.safeParse(value);
  return result.success ? undefined : result.error.issues[0]!.message;
}

/** What to say of an option that is needed and was not given. */
export const missingOption = (name: string, { value, help }: Option): string =>
  `${flagOf(name)}: expected ${value}, found nothing; give ${help.split(/[:;]/)[0]}`;

/** Plain words, which is what a command line has mostly, go without quotes. */
const shown = (value: unknown): string =>
  typeof value === 'string' && /^[\w.+-]{1,60}$/.test(value) ? value : excerpt(value);

/** Fills in defaults; call it on options without problems. */
export function withDefaults<T extends OptionTable>(
  table: T,
  given: Readonly<Record<string, unknown>>,
): Resolved<T> {
  const entries = Object.entries(table).map(([name, option]) => {
    const value = given[name] ?? option.default;
    return [name, value === undefined ? undefined : option.schema.parse(value)];
  });
  return Object.fromEntries(entries) as Resolved<T>;
}

/** The options of a table among others. */
export const optionsIn = <T extends OptionTable>(
  table: T,
  options: Readonly<Record<string, unknown>>,
): Given<T> =>
  Object.fromEntries(Object.entries(options).filter(([name]) => Object.hasOwn(table, name))) as Given<T>;

/** The names and values that a caller gives. @throws InputError for what is no object */
export function givenOptions(given: object): Readonly<Record<string, unknown>> {
  if (typeof given === 'object' && given !== null) return { ...given };
  throw new InputError(`expected an object of options, found ${shown(given)}`);
}

/**
 * What a caller gives, with defaults filled in.
 * @throws InputError that names every option that is unknown, missing or wrong
 */
export function checkedOptions<T extends OptionTable>(table: T, given: object): Resolved<T> {
  const options = givenOptions(given);
  const problems = problemsOf(table, options);
  if (problems.length > 0) throw new InputError(problems.join('; '));
  return withDefaults(table, options);
}
