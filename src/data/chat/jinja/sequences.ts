import { TemplateError } from './errors.js';
import { spend } from './limits.js';
import { compareTexts, lengthOf, sliceOf } from './unicode.js';
import {
  Dict,
  DictView,
  intOf,
  Markup,
  numberOf,
  Once,
  Range,
  Tuple,
  textOf,
  typeName,
  Undefined,
  type Value,
} from './values.js';

/** What is made of others: iteration, length, items, order and equality. */

/** iter(value) @throws TemplateError */
export function iterate(value: Value): Iterator<Value> {
  const iterator = iteratorOf(value);
  if (!iterator) throw new TemplateError(`'${typeName(value)}' object is not iterable`);
  return iterator;
}

export function iteratorOf(value: Value): Iterator<Value> | undefined {
  if (Array.isArray(value)) return value.values();
  const text = textOf(value);
  if (text !== undefined) return text[Symbol.iterator]();
  if (value instanceof Tuple) return value.items.values();
  if (value instanceof Dict) return value.keys().values();
  if (value instanceof DictView) return value.items().values();
  if (value instanceof Range) return rangeValues(value);
  if (value instanceof Once) return value.iterator;
  if (value instanceof Undefined) return [].values();
  return undefined;
}

function* rangeValues(range: Range): Generator<Value> {
  for (let i = 0; i < range.length; i++) yield range.at(i);
}

/** list(value) @throws TemplateError */
export function listOf(value: Value): Value[] {
  if (Array.isArray(value)) return value;
  const items: Value[] = [];
  const iterator = iterate(value);
  for (let next = iterator.next(); !next.done; next = iterator.next()) {
    spend();
    items.push(next.value);
  }
  return items;
}

/** len(value); undefined where it has none. */
export function sizeOf(value: Value): number | undefined {
  if (Array.isArray(value)) return value.length;
  const text = textOf(value);
  if (text !== undefined) return lengthOf(text);
  if (value instanceof Tuple) return value.items.length;
  if (value instanceof Dict) return value.size;
  if (value instanceof DictView) return value.dict.size;
  if (value instanceof Range) return value.length;
  return value instanceof Undefined ? 0 : undefined;
}

/** @throws TemplateError */
export function size(value: Value): bigint {
  const length = sizeOf(value);
  if (length === undefined) throw new TemplateError(`object of type '${typeName(value)}' has no len()`);
  return BigInt(length);
}

/** An item of a sequence by its index; undefined where it is no sequence, the key no index, or nothing is there. */
export function itemAt(value: Value, key: Value): Value | undefined {
  const index = intOf(key);
  const length = sizeOf(value);
  if (index === undefined || length === undefined) return undefined;
  const at = Number(index < 0n ? index + BigInt(length) : index);
  if (at < 0 || at >= length) return undefined;
  if (Array.isArray(value)) return value[at];
  if (value instanceof Tuple) return value.items[at];
  if (value instanceof Range) return value.at(at);
  const text = textOf(value);
  if (text === undefined) return undefined;
  const character = sliceOf(text, at, at + 1);
  return value instanceof Markup ? new Markup(character) : character;
}

const bound = (value: Value, otherwise: bigint): bigint => {
  const index = value === null ? otherwise : intOf(value);
  if (index !== undefined) return index;
  throw new TemplateError('slice indices must be integers or None or have an __index__ method');
};
const clamp = (x: bigint, least: bigint, most: bigint): bigint => (x < least ? least : x > most ? most : x);

/** value[start:stop:step] @throws TemplateError */
export function slice(value: Value, start: Value, stop: Value, step: Value): Value {
  if (value instanceof Undefined) throw value.error();
  const isSliced = textOf(value) !== undefined || Array.isArray(value) || value instanceof Tuple;
  if (!isSliced && !(value instanceof Range)) {
    const what =
      value instanceof Dict ? "unhashable type: 'slice'" : `'${typeName(value)}' object is not subscriptable`;
    throw new TemplateError(what);
  }
  const length = BigInt(sizeOf(value)!);
  const stride = bound(step, 1n);
  if (stride === 0n) throw new TemplateError('slice step cannot be zero');
  const [least, most] = stride > 0n ? [0n, length] : [-1n, length - 1n];
  const edge = (edgeOf: Value, otherwise: bigint): bigint => {
    if (edgeOf === null) return otherwise;
    const index = bound(edgeOf, otherwise);
    return clamp(index < 0n ? index + length : index, least, most);
  };
  const from = edge(start, stride > 0n ? 0n : length - 1n);
  const to = edge(stop, stride > 0n ? length : -1n);
  return sliceItems(value, new Range(from, to, stride));
}

function sliceItems(value: Value, { start, stop, step, length }: Range): Value {
  if (step !== 1n && !(value instanceof Range)) spend(length);
  if (value instanceof Range) {
    const at = (index: bigint) => value.start + index * value.step;
    return new Range(at(start), at(stop), value.step * step);
  }
  const indices = () => Array.from({ length }, (_, i) => Number(start + BigInt(i) * step));
  if (Array.isArray(value)) {
    return step === 1n ? value.slice(Number(start), Number(start) + length) : indices().map((i) => value[i]!);
  }
  if (value instanceof Tuple) return new Tuple(indices().map((i) => value.items[i]!));
  const text = textOf(value)!;
  const characters = () => [...text];
  const sliced =
    step === 1n ? sliceOf(text, Number(start), Number(start) + length) : pick(characters(), indices());
  return value instanceof Markup ? new Markup(sliced) : sliced;
}

const pick = (characters: readonly string[], indices: readonly number[]): string =>
  indices.map((i) => characters[i]!).join('');

/** a == b */
export function equals(a: Value, b: Value): boolean {
  spend();
  if (a === b) return typeof a !== 'number' || !Number.isNaN(a);
  const number = numberOf(a);
  if (number !== undefined) {
    const other = numberOf(b);
    // biome-ignore lint/suspicious/noDoubleEquals: of an int and a float it compares what they are
    return other !== undefined && number == other;
  }
  const text = textOf(a);
  if (text !== undefined) return text === textOf(b);
  if (Array.isArray(a)) return Array.isArray(b) && sameItems(a, b);
  if (a instanceof Tuple) return b instanceof Tuple && sameItems(a.items, b.items);
  if (a instanceof Dict) return b instanceof Dict && sameEntries(a, b);
  if (a instanceof Range) return b instanceof Range && sameItems(listOf(a), listOf(b));
  if (a instanceof DictView) return b instanceof DictView && sameViews(a, b);
  return a instanceof Undefined && b instanceof Undefined;
}

const sameItems = (a: readonly Value[], b: readonly Value[]): boolean =>
  a.length === b.length && a.every((item, i) => equals(item, b[i]!));

function sameEntries(a: Dict, b: Dict): boolean {
  if (a.size !== b.size) return false;
  for (const [key, value] of a.entries()) {
    const other = b.get(key);
    if (other === undefined || !equals(value, other)) return false;
  }
  return true;
}

/** Views of keys and items are sets, those of values are never equal. */
function sameViews(a: DictView, b: DictView): boolean {
  if (a.typeName === 'dict_values' || b.typeName === 'dict_values') return false;
  const [left, right] = [a.items(), b.items()];
  return left.length === right.length && left.every((item) => right.some((other) => equals(item, other)));
}

type Order = '<' | '<=' | '>' | '>=';

/** a < b and its like @throws TemplateError for types that have no order */
export function isOrdered(order: Order, a: Value, b: Value): boolean {
  spend();
  for (const value of [a, b]) if (value instanceof Undefined) throw value.error();
  const [x, y] = [numberOf(a), numberOf(b)];
  if (x !== undefined && y !== undefined) return holds(order, x, y);
  const [left, right] = [textOf(a), textOf(b)];
  if (left !== undefined && right !== undefined) return holds(order, compareTexts(left, right), 0);
  if (Array.isArray(a) && Array.isArray(b)) return areOrdered(order, a, b);
  if (a instanceof Tuple && b instanceof Tuple) return areOrdered(order, a.items, b.items);
  throw new TemplateError(
    `'${order}' not supported between instances of '${typeName(a)}' and '${typeName(b)}'`,
  );
}

function holds(order: Order, x: bigint | number, y: bigint | number): boolean {
  if (order === '<') return x < y;
  if (order === '<=') return x <= y;
  return order === '>' ? x > y : x >= y;
}

function areOrdered(order: Order, a: readonly Value[], b: readonly Value[]): boolean {
  const different = a.findIndex((item, i) => i >= b.length || !equals(item, b[i]!));
  if (different < 0 || different >= b.length) return holds(order, a.length, b.length);
  return isOrdered(order, a[different]!, b[different]!);
}

/** sorted(): stable, by keys. @throws TemplateError for keys that have no order */
export function sorted<T>(items: readonly T[], keyOf: (item: T) => Value, isReversed = false): T[] {
  const keyed = items.map((item) => ({ item, key: keyOf(item) }));
  // Reversed twice: what is equal keeps its order.
  if (isReversed) keyed.reverse();
  keyed.sort((a, b) => (isOrdered('<', a.key, b.key) ? -1 : isOrdered('<', b.key, a.key) ? 1 : 0));
  if (isReversed) keyed.reverse();
  return keyed.map(({ item }) => item);
}

/** needle in haystack @throws TemplateError */
export function contains(haystack: Value, needle: Value): boolean {
  const text = textOf(haystack);
  if (text !== undefined) {
    const part = textOf(needle);
    if (part !== undefined) return text.includes(part);
    throw new TemplateError(`'in <string>' requires string as left operand, not ${typeName(needle)}`);
  }
  if (haystack instanceof Dict) return haystack.has(needle);
  if (haystack instanceof DictView && haystack.typeName === 'dict_keys') return haystack.dict.has(needle);
  const iterator = iteratorOf(haystack);
  if (!iterator) throw new TemplateError(`argument of type '${typeName(haystack)}' is not iterable`);
  for (let next = iterator.next(); !next.done; next = iterator.next()) {
    if (equals(next.value, needle)) return true;
  }
  return false;
}
