import { COLLECTION_FILTERS } from './collectionFilters.js';
import { notSupported, TemplateError } from './errors.js';
import { bind } from './signatures.js';
import { TEXT_FILTERS } from './textFilters.js';
import { VALUE_FILTERS } from './valueFilters.js';
import type { Kwargs, Value } from './values.js';

/** What filters and tests may ask of the rendering that they are part of. */
export interface Context {
  readonly filter: (name: string, value: Value, args: readonly Value[], kwargs: Kwargs) => Value;
  readonly test: (name: string, value: Value, args: readonly Value[], kwargs: Kwargs) => boolean;
}

/** What a filter is given besides its value, by the order of its parameters. */
type Argument = Value | undefined;

/** A filter that takes its arguments by name, or all as they come. */
export type Filter =
  | readonly [
      parameters: string,
      run: (value: Value, a: Argument, b: Argument, c: Argument, d: Argument) => Value,
    ]
  | { readonly all: (context: Context, value: Value, args: readonly Value[], kwargs: Kwargs) => Value };

const refused = (what: string): Filter => ({
  all: () => {
    throw notSupported(what);
  },
});

/** All of jinja2/filters.py, with the tojson of transformers. */
const FILTERS: Readonly<Record<string, Filter>> = {
  ...TEXT_FILTERS,
  ...COLLECTION_FILTERS,
  ...VALUE_FILTERS,
  random: refused('the filter random'),
  urlize: refused('the filter urlize'),
};

export const isFilter = (name: string): boolean => Object.hasOwn(FILTERS, name);

/** @throws TemplateError */
export function applyFilter(
  context: Context,
  name: string,
  value: Value,
  args: readonly Value[],
  kwargs: Kwargs,
): Value {
  if (!isFilter(name)) throw new TemplateError(`No filter named '${name}'`);
  const filter = FILTERS[name]!;
  if ('all' in filter) return filter.all(context, value, args, kwargs);
  const [parameters, run] = filter;
  const [a, b, c, d] = bind(name, parameters, args, kwargs);
  return run(value, a, b, c, d);
}
