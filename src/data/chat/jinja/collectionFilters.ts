import { getItem } from './attributes.js';
import { TemplateError } from './errors.js';
import type { Context, Filter } from './filter.js';
import { spend } from './limits.js';
import { requireIndex } from './numbers.js';
import { binary } from './operators.js';
import { str } from './printing.js';
import { equals, isOrdered, iterate, iteratorOf, listOf, size, sizeOf, slice, sorted } from './sequences.js';
import { bind } from './signatures.js';
import { reverse } from './strings.js';
import {
  Dict,
  Group,
  isTrue,
  type Kwargs,
  Markup,
  Once,
  Range,
  Tuple,
  textOf,
  typeName,
  Undefined,
  type Value,
} from './values.js';

/** Filters about lists, dicts and what else can be iterated. */

type Getter = (item: Value) => Value;

/** Upper and lower case are the same, unless it is asked for. */
const ignoringCase = (isCaseSensitive: Value | undefined): Getter => {
  if (isCaseSensitive !== undefined && isTrue(isCaseSensitive)) return (value) => value;
  return (value) => textOf(value)?.toLowerCase() ?? value;
};

function partsOf(attribute: Value): Value[] {
  if (attribute === null) return [];
  const text = textOf(attribute);
  if (text === undefined) return [attribute];
  return text.split('.').map((part) => (/^\d+$/.test(part) ? BigInt(part) : part));
}

/** Reads `a.b.0` of an item. */
function attributeGetter(
  attribute: Value | undefined,
  after: Getter = (v) => v,
  otherwise: Value = null,
): Getter {
  const parts = partsOf(attribute ?? null);
  return (item) => {
    let value = item;
    for (const part of parts) {
      value = getItem(value, part);
      if (otherwise !== null && value instanceof Undefined) value = otherwise;
    }
    return after(value);
  };
}

/** Reads `a,b.c`, of which the parts are compared one after the other. */
function sortGetter(attribute: Value | undefined, after: Getter): Getter {
  const text = textOf(attribute ?? null);
  const getters = (text === undefined ? [attribute] : text.split(',')).map((part) =>
    attributeGetter(part, after),
  );
  return (item) => getters.map((getter) => getter(item));
}

/** The values of an iteration, each at the cost of a step. */
function* counted(value: Value): Generator<Value> {
  const iterator = iterate(value);
  for (let next = iterator.next(); !next.done; next = iterator.next()) {
    spend();
    yield next.value;
  }
}

/** A filter with parameters by name that iterates. */
const iterates = (
  name: string,
  parameters: string,
  run: (items: Iterable<Value>, ...given: (Value | undefined)[]) => Value,
): Filter => ({
  all: (_, value, args, kwargs) => run(counted(value), ...bind(name, parameters, args, kwargs)),
});

function join(items: Iterable<Value>, separator: Value | undefined, attribute: Value | undefined): Value {
  const getter =
    attribute === undefined || attribute === null ? (item: Value) => item : attributeGetter(attribute);
  return Array.from(items, (item) => str(getter(item))).join(separator === undefined ? '' : str(separator));
}

function extreme(isMost: boolean) {
  return (
    items: Iterable<Value>,
    isCaseSensitive: Value | undefined,
    attribute: Value | undefined,
  ): Value => {
    const getter = attributeGetter(attribute, ignoringCase(isCaseSensitive));
    let best: { item: Value; key: Value } | undefined;
    for (const item of items) {
      const key = getter(item);
      if (!best || (isMost ? isOrdered('>', key, best.key) : isOrdered('<', key, best.key)))
        best = { item, key };
    }
    return best ? best.item : new Undefined('No aggregated item, sequence was empty.');
  };
}

function* unique(items: Iterable<Value>, isCaseSensitive: Value | undefined, attribute: Value | undefined) {
  const getter = attributeGetter(attribute, ignoringCase(isCaseSensitive));
  const seen = new Dict();
  for (const item of items) {
    const key = getter(item);
    if (seen.has(key)) continue;
    seen.set(key, true);
    yield item;
  }
}

function* batch(items: Iterable<Value>, count: Value | undefined, fill: Value = null): Generator<Value> {
  const most = requireIndex(count!);
  let part: Value[] = [];
  for (const item of items) {
    if (part.length === most) {
      yield part;
      part = [];
    }
    part.push(item);
  }
  if (part.length === 0) return;
  if (fill !== null) while (part.length < most) part.push(fill);
  yield part;
}

function* slices(items: Iterable<Value>, count: Value | undefined, fill: Value = null): Generator<Value> {
  const all = [...items];
  const parts = requireIndex(count!);
  if (parts === 0) throw new TemplateError('integer division or modulo by zero');
  const [length, longer] = [Math.floor(all.length / parts), all.length % parts];
  let at = 0;
  for (let part = 0; part < parts; part++) {
    const end = at + length + (part < longer ? 1 : 0);
    const piece = all.slice(at, end);
    if (fill !== null && part >= longer) piece.push(fill);
    yield piece;
    at = end;
  }
}

function groupBy(
  items: Iterable<Value>,
  attribute: Value | undefined,
  otherwise: Value = null,
  isCaseSensitive?: Value,
) {
  const getter = attributeGetter(attribute, ignoringCase(isCaseSensitive), otherwise);
  const keep = attributeGetter(attribute, undefined, otherwise);
  const isExact = isCaseSensitive !== undefined && isTrue(isCaseSensitive);
  const groups: { key: Value; items: Value[] }[] = [];
  for (const item of sorted([...items], getter)) {
    const key = getter(item);
    const last = groups.at(-1);
    if (last && equals(last.key, key)) last.items.push(item);
    else groups.push({ key, items: [item] });
  }
  return groups.map(({ key, items: members }) => new Group([isExact ? key : keep(members[0]!), members]));
}

function sum(items: Iterable<Value>, attribute: Value | undefined, start: Value = 0n): Value {
  const getter =
    attribute === undefined || attribute === null ? (item: Value) => item : attributeGetter(attribute);
  if (textOf(start) !== undefined)
    throw new TemplateError("sum() can't sum strings [use ''.join(seq) instead]");
  let total = start;
  for (const item of items) total = binary('+', total, getter(item));
  return total;
}

function dictSort(value: Value, isCaseSensitive?: Value, by: Value = 'key', isReversed?: Value): Value {
  if (!(value instanceof Dict))
    throw new TemplateError(`'${typeName(value)}' object has no attribute 'items'`);
  const at = ['key', 'value'].indexOf(textOf(by) ?? '');
  if (at < 0) throw new TemplateError('You can only sort by either "key" or "value"');
  const fold = ignoringCase(isCaseSensitive);
  const order = sorted(
    [...value.entries()],
    (entry) => fold(entry[at]!),
    isReversed !== undefined && isTrue(isReversed),
  );
  return order.map((entry) => new Tuple(entry));
}

function first(value: Value): Value {
  const { done, value: item } = iterate(value).next();
  return done ? new Undefined('No first item, sequence was empty.') : item;
}

const isReversible = (value: Value): boolean => sizeOf(value) !== undefined && textOf(value) === undefined;

function last(value: Value): Value {
  const text = textOf(value);
  if (text === undefined && !isReversible(value)) {
    throw new TemplateError(`'${typeName(value)}' object is not reversible`);
  }
  const item = listOf(value).at(-1);
  return item === undefined ? new Undefined('No last item, sequence was empty.') : item;
}

function reversed(value: Value): Value {
  const text = textOf(value);
  if (text !== undefined) return value instanceof Markup ? new Markup(reverse(text)) : reverse(text);
  if (value instanceof Range) return new Once(iterate(slice(value, null, null, -1n)), 'range_iterator');
  if (isReversible(value)) {
    const type = Array.isArray(value) ? 'list_reverseiterator' : 'reversed';
    return new Once([...listOf(value)].reverse().values(), type);
  }
  if (!iteratorOf(value)) throw new TemplateError('argument must be iterable');
  return [...listOf(value)].reverse();
}

function* mapped(context: Context, value: Value, args: readonly Value[], kwargs: Kwargs): Generator<Value> {
  if (!isTrue(value)) return;
  const change = mapping(context, args, kwargs);
  for (const item of counted(value)) yield change(item);
}

function mapping(context: Context, args: readonly Value[], kwargs: Kwargs): Getter {
  if (args.length === 0 && kwargs.has('attribute')) {
    const [attribute, otherwise] = bind('map', 'attribute default?', [], kwargs);
    return attributeGetter(attribute, undefined, otherwise);
  }
  const [name, ...rest] = args;
  if (name === undefined) throw new TemplateError('map requires a filter argument');
  return (item) => context.filter(str(name), item, rest, kwargs);
}

/** select, reject, selectattr and rejectattr. */
function selecting(isKept: boolean, byAttribute: boolean): Filter {
  function* selected(
    context: Context,
    value: Value,
    args: readonly Value[],
    kwargs: Kwargs,
  ): Generator<Value> {
    if (!isTrue(value)) return;
    if (byAttribute && args.length === 0) throw new TemplateError('Missing parameter for attribute name');
    const getter = byAttribute ? attributeGetter(args[0]) : (item: Value) => item;
    const [name, ...rest] = byAttribute ? args.slice(1) : args;
    for (const item of counted(value)) {
      const found = getter(item);
      const holds = name === undefined ? isTrue(found) : context.test(str(name), found, rest, kwargs);
      if (holds === isKept) yield item;
    }
  }
  return { all: (context, value, args, kwargs) => new Once(selected(context, value, args, kwargs)) };
}

function* itemsOf(value: Value): Generator<Value> {
  if (value instanceof Undefined) return;
  if (!(value instanceof Dict)) throw new TemplateError('Can only get item pairs from a mapping.');
  for (const entry of value.entries()) yield new Tuple(entry);
}

export const COLLECTION_FILTERS: Readonly<Record<string, Filter>> = {
  batch: iterates(
    'batch',
    'linecount fill_with?',
    (items, count, fill) => new Once(batch(items, count, fill)),
  ),
  count: ['', size],
  dictsort: ['case_sensitive? by? reverse?', dictSort],
  first: ['', first],
  groupby: iterates('groupby', 'attribute default? case_sensitive?', groupBy),
  items: ['', (value) => new Once(itemsOf(value))],
  join: iterates('join', 'd? attribute?', join),
  last: ['', last],
  length: ['', size],
  list: iterates('list', '', (items) => [...items]),
  map: { all: (context, value, args, kwargs) => new Once(mapped(context, value, args, kwargs)) },
  max: iterates('max', 'case_sensitive? attribute?', extreme(true)),
  min: iterates('min', 'case_sensitive? attribute?', extreme(false)),
  reject: selecting(false, false),
  rejectattr: selecting(false, true),
  reverse: ['', reversed],
  select: selecting(true, false),
  selectattr: selecting(true, true),
  slice: iterates('slice', 'slices fill_with?', (items, count, fill) => new Once(slices(items, count, fill))),
  sort: iterates(
    'sort',
    'reverse? case_sensitive? attribute?',
    (items, isReversed, isCaseSensitive, attribute) =>
      sorted(
        [...items],
        sortGetter(attribute, ignoringCase(isCaseSensitive)),
        isReversed !== undefined && isTrue(isReversed),
      ),
  ),
  sum: iterates('sum', 'attribute? start?', sum),
  unique: iterates(
    'unique',
    'case_sensitive? attribute?',
    (items, isCaseSensitive, attribute) => new Once(unique(items, isCaseSensitive, attribute)),
  ),
};
