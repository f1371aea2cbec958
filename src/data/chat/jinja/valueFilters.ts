import { attributeOf, getAttribute } from './attributes.js';
import { notSupported, TemplateError } from './errors.js';
import type { Filter } from './filter.js';
import { formatFloat } from './floatFormat.js';
import { toJson } from './json.js';
import {
  floatOfInt,
  parseFloatText,
  parseIntText,
  requireIndex,
  requireInt,
  requireText,
  roundFloat,
  roundInt,
  truncated,
} from './numbers.js';
import { binary } from './operators.js';
import { repr } from './printing.js';
import { listOf, sorted } from './sequences.js';
import { lengthOf, quoted } from './unicode.js';
import {
  Dict,
  intOf,
  isDefined,
  isTrue,
  numberOf,
  Tuple,
  textOf,
  typeName,
  Undefined,
  type Value,
} from './values.js';

/** Filters about numbers, defaults, attributes and JSON. */

function int(value: Value, otherwise: Value = 0n, base: Value = 10n): Value {
  if (value instanceof Undefined) throw value.error();
  const text = textOf(value);
  const number = numberOf(value);
  if (typeof number === 'bigint') return number;
  if (typeof number === 'number') {
    const whole = truncated(number);
    if (whole === undefined && !Number.isNaN(number)) {
      throw new TemplateError('cannot convert float infinity to integer');
    }
    return whole ?? otherwise;
  }
  if (text === undefined) return otherwise;
  const parsed = parseIntText(text, requireIndex(base));
  if (parsed !== undefined) return parsed;
  const float = parseFloatText(text);
  return (float === undefined ? undefined : truncated(float)) ?? otherwise;
}

function float(value: Value, otherwise: Value = 0): Value {
  if (value instanceof Undefined) throw value.error();
  const number = numberOf(value);
  if (number !== undefined) return typeof number === 'bigint' ? floatOfInt(number) : number;
  const text = textOf(value);
  return (text === undefined ? undefined : parseFloatText(text)) ?? otherwise;
}

function round(value: Value, precision: Value = 0n, method: Value = 'common'): Value {
  const name = textOf(method);
  if (name !== 'common' && name !== 'ceil' && name !== 'floor') {
    throw new TemplateError('method must be common, ceil or floor');
  }
  if (value instanceof Undefined) throw value.error();
  const number = numberOf(value);
  if (number === undefined)
    throw new TemplateError(`type ${typeName(value)} doesn't define __round__ method`);
  if (name === 'common') {
    const digits = requireIndex(precision);
    return typeof number === 'bigint' ? roundInt(number, digits) : roundFloat(number, digits);
  }
  const unit = binary('**', 10n, requireInt(precision));
  const scaled = binary('*', number, unit);
  if (typeof scaled === 'bigint') return binary('/', scaled, unit);
  const whole = truncated(name === 'ceil' ? Math.ceil(scaled as number) : Math.floor(scaled as number));
  if (whole === undefined) throw new TemplateError('cannot convert float to integer');
  return binary('/', whole, unit);
}

function absolute(value: Value): Value {
  if (value instanceof Undefined) throw new TemplateError("bad operand type for abs(): 'Undefined'");
  const number = numberOf(value);
  if (number === undefined) throw new TemplateError(`bad operand type for abs(): '${typeName(value)}'`);
  return typeof number === 'bigint' && number < 0n
    ? -number
    : typeof number === 'number'
      ? Math.abs(number)
      : number;
}

function fileSize(value: Value, isBinary: Value = false): Value {
  const bytes = float(strictNumber(value)) as number;
  const base = isTrue(isBinary) ? 1024 : 1000;
  const prefixes = ['k', 'M', 'G', 'T', 'P', 'E', 'Z', 'Y'].map((letter) =>
    isTrue(isBinary) ? `${letter.toUpperCase()}iB` : `${letter}B`,
  );
  if (bytes === 1) return '1 Byte';
  if (bytes < base) return `${truncated(bytes)} Bytes`;
  const at = prefixes.findIndex((_, i) => bytes < base ** (i + 2));
  const last = at < 0 ? prefixes.length - 1 : at;
  return `${formatFloat((base * bytes) / base ** (last + 2), 'f', 1)} ${prefixes[last]}`;
}

/** float(value) without a default. */
function strictNumber(value: Value): Value {
  const text = textOf(value);
  if (text !== undefined && parseFloatText(text) !== undefined) return value;
  if (numberOf(value) !== undefined) return value;
  throw new TemplateError(`could not convert ${repr(value)} to float`);
}

function tojson(
  value: Value,
  isAscii: Value = false,
  indent: Value = null,
  separators: Value = null,
  sort: Value = false,
) {
  const level =
    indent === null ? undefined : (textOf(indent) ?? ' '.repeat(Math.max(0, requireIndex(indent))));
  const [item, key] = separators === null ? [level === undefined ? ', ' : ',', ': '] : listOf(separators);
  return toJson(value, {
    isAscii: isTrue(isAscii),
    indent: level,
    separators: [requireText(item ?? null), requireText(key ?? null)],
    sortKeys: isTrue(sort),
  });
}

const PRINT_WIDTH = 80;

function prettyPrint(value: Value): Value {
  const text = repr(withSortedKeys(value));
  if (lengthOf(text) <= PRINT_WIDTH) return text;
  throw notSupported('the filter pprint of what does not fit into a line');
}

/** As pprint: by type and then by value, where keys have no order. */
function withSortedKeys(value: Value): Value {
  if (Array.isArray(value)) return value.map(withSortedKeys);
  if (value instanceof Tuple) return new Tuple(value.items.map(withSortedKeys));
  if (!(value instanceof Dict)) return value;
  const entries = sorted([...value.entries()], ([key]) => key);
  return new Dict(entries.map(([key, item]) => [key, withSortedKeys(item)] as const));
}

function attribute(value: Value, name: Value | undefined): Value {
  const key = requireText(name!);
  if (value instanceof Undefined) throw value.error();
  if (attributeOf(value, key) !== undefined) return getAttribute(value, key);
  return new Undefined(`'${typeName(value)} object' has no attribute ${quoted(key)}`);
}

export const VALUE_FILTERS: Readonly<Record<string, Filter>> = {
  abs: ['', absolute],
  attr: ['name', attribute],
  d: ['default_value? boolean?', (value, otherwise, boolean) => orDefault(value, otherwise, boolean)],
  default: ['default_value? boolean?', (value, otherwise, boolean) => orDefault(value, otherwise, boolean)],
  filesizeformat: ['binary?', fileSize],
  float: ['default?', float],
  int: ['default? base?', int],
  pprint: ['', prettyPrint],
  round: ['precision? method?', round],
  tojson: ['ensure_ascii? indent? separators? sort_keys?', tojson],
};

function orDefault(value: Value, otherwise: Value = '', boolean: Value = false): Value {
  return !isDefined(value) || (isTrue(boolean) && !isTrue(value)) ? otherwise : value;
}

/** Whether `is integer` and its like hold; here, for both need numbers. */
export const isInteger = (value: Value): boolean => typeof value !== 'boolean' && intOf(value) !== undefined;
