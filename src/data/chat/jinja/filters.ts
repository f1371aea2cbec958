import { COLLECTION_FILTERS } from './collectionFilters.js';
import { notSupported, TemplateError } from './errors.js';
import type { Context, Filter } from './filter.js';
import { bind } from './signatures.js';
import { TEXT_FILTERS } from './textFilters.js';
import { VALUE_FILTERS } from './valueFilters.js';
import type { Kwargs, Value } from './values.js';

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
