import { isDeepStrictEqual } from 'node:util';
import { flagOf, type OptionTable } from '../options/table.js';

/** Options that do nothing unless another one says so. */
export interface Dependence<O> {
  readonly options: readonly (keyof O & string)[];
  /** The one that says so, where it says something else: `--schedule cosine`. */
  readonly against: (options: O) => string | false;
  /** What it would have to say. */
  readonly needs: string;
}

/**
 * Options that were given and would change nothing, in words. One that says what holds anyway (its default, or `none`) is no
 * slip.
 * @param none by name, what says that nothing is wanted where nothing can be had
 */
export function idleAmong<O extends object>(
  table: OptionTable,
  dependences: readonly Dependence<O>[],
  { given, options, none = {} }: Asked<O>,
): string[] {
  const isSaid = (name: keyof O & string) => {
    const value = options[name];
    return (
      given[name] !== undefined && !isDeepStrictEqual(value, table[name]?.default) && value !== none[name]
    );
  };
  const found = new Map<string, string>();
  for (const { options: names, against, needs } of dependences) {
    const other = against(options);
    if (!other) continue;
    for (const name of names.filter((one) => isSaid(one) && !found.has(one))) {
      found.set(name, `${flagOf(name)}: expected ${needs} with it, found ${other}; leave one out`);
    }
  }
  return [...found.values()];
}

interface Asked<O> {
  readonly given: Readonly<Record<string, unknown>>;
  /** All of them. */
  readonly options: O;
  readonly none?: Partial<Record<keyof O, unknown>>;
}
