import { notSupported, TemplateError } from './errors.js';
import { isFilter } from './filters.js';
import { binary } from './operators.js';
import { str } from './printing.js';
import { contains, equals, isOrdered, iteratorOf, sizeOf } from './sequences.js';
import { bind } from './signatures.js';
import { classes } from './stringClasses.js';
import {
  Callable,
  Dict,
  DictView,
  isDefined,
  type Kwargs,
  Markup,
  numberOf,
  textOf,
  typeName,
  Undefined,
  type Value,
} from './values.js';

/** The tests of jinja2/tests.py: `value is name(other)`. */

type Test = readonly [parameters: string, run: (value: Value, other: Value | undefined) => boolean];

const rest = (value: Value, divisor: Value): Value => binary('%', value, divisor);
const order = (sign: '<' | '<=' | '>' | '>='): Test => [
  'b',
  (value, other) => isOrdered(sign, value, other!),
];
const equal: Test = ['b', (value, other) => equals(value, other!)];
const different: Test = ['b', (value, other) => !equals(value, other!)];

/** Ints that are one object wherever they are. */
const isSmall = (value: bigint): boolean => value >= -5n && value <= 256n;

/** `value is other` in Python. @throws TemplateError where only CPython's memory knows */
function isSame(value: Value, other: Value): boolean {
  if (typeName(value) !== typeName(other) || !equals(value, other)) return value === other;
  if (value instanceof Undefined) return value === other;
  if (typeof value === 'bigint' && isSmall(value)) return true;
  if (typeof value === 'string' && (value === '' || (value.length === 1 && value <= '\xff'))) return true;
  if (value === null || typeof value === 'boolean' || typeof value === 'object') return value === other;
  throw notSupported(`the test sameas of equal values of type ${typeName(value)}`);
}

/** What has a length and items by an index or key; an undefined value has both, as far as Python asks. */
const isSequence = (value: Value): boolean => !(value instanceof DictView) && sizeOf(value) !== undefined;

const TESTS: Readonly<Record<string, Test>> = {
  odd: ['', (value) => equals(rest(value, 2n), 1n)],
  even: ['', (value) => equals(rest(value, 2n), 0n)],
  divisibleby: ['num', (value, by) => equals(rest(value, by!), 0n)],
  defined: ['', isDefined],
  undefined: ['', (value) => !isDefined(value)],
  filter: ['', (value) => isFilter(nameOf(value))],
  test: ['', (value) => isTest(nameOf(value))],
  none: ['', (value) => value === null],
  boolean: ['', (value) => typeof value === 'boolean'],
  false: ['', (value) => value === false],
  true: ['', (value) => value === true],
  integer: ['', (value) => typeof value === 'bigint'],
  float: ['', (value) => typeof value === 'number'],
  lower: ['', (value) => classes.islower!(str(value))],
  upper: ['', (value) => classes.isupper!(str(value))],
  string: ['', (value) => textOf(value) !== undefined],
  mapping: ['', (value) => value instanceof Dict],
  number: ['', (value) => numberOf(value) !== undefined],
  sequence: ['', isSequence],
  iterable: ['', (value) => iteratorOf(value) !== undefined],
  callable: ['', (value) => value instanceof Callable || value instanceof Undefined],
  sameas: ['other', (value, other) => isSame(value, other!)],
  escaped: ['', (value) => value instanceof Markup],
  in: ['seq', (value, sequence) => contains(sequence!, value)],
  '==': equal,
  eq: equal,
  equalto: equal,
  '!=': different,
  ne: different,
  '>': order('>'),
  gt: order('>'),
  greaterthan: order('>'),
  ge: order('>='),
  '>=': order('>='),
  '<': order('<'),
  lt: order('<'),
  lessthan: order('<'),
  le: order('<='),
  '<=': order('<='),
};

/** A key of Python's table of filters or tests. */
function nameOf(value: Value): string {
  if (Array.isArray(value) || value instanceof Dict) {
    throw new TemplateError(`unhashable type: '${typeName(value)}'`);
  }
  return textOf(value) ?? '';
}

export const isTest = (name: string): boolean => Object.hasOwn(TESTS, name);

/** @throws TemplateError */
export function applyTest(name: string, value: Value, args: readonly Value[], kwargs: Kwargs): boolean {
  if (!isTest(name)) throw new TemplateError(`No test named '${name}'`);
  const [parameters, run] = TESTS[name]!;
  const [other] = bind(name, parameters, args, kwargs);
  return run(value, other);
}
