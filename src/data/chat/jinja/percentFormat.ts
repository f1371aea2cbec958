import { notSupported, TemplateError } from './errors.js';
import { formatFloat } from './floatFormat.js';
import { checkText } from './limits.js';
import { floatOfInt, requireIndex, truncated } from './numbers.js';
import { repr, str } from './printing.js';
import { lengthOf, sliceOf } from './unicode.js';
import { Dict, intOf, numberOf, Range, Tuple, textOf, typeName, Undefined, type Value } from './values.js';

const SPECIFIER = /%(?:\(([^()]*)\))?([-+ #0]*)(\*|\d+)?(?:\.(\*|\d*))?[hlL]?(.)?/gs;

interface Specification {
  readonly flags: string;
  readonly width: number;
  readonly precision: number | undefined;
}

/** `format % values` @throws TemplateError */
export function percentFormat(format: string, values: Value): string {
  const given = values instanceof Tuple ? values.items : [values];
  let used = 0;
  const next = (): Value => {
    if (used >= given.length) throw new TemplateError('not enough arguments for format string');
    return given[used++]!;
  };
  let usesNames = false;
  const text = format.replace(SPECIFIER, (...match: (string | undefined)[]) => {
    const [, name, flags, widthText, precisionText, type] = match;
    if (type === undefined) throw new TemplateError('incomplete format');
    if (name !== undefined) usesNames = true;
    let width = widthText === '*' ? requireIndex(next()) : Number(widthText ?? 0);
    let allFlags = flags!;
    if (width < 0) [width, allFlags] = [-width, `${allFlags}-`];
    const precision =
      precisionText === '*'
        ? requireIndex(next())
        : precisionText === undefined
          ? undefined
          : Number(precisionText);
    checkText(width + (precision ?? 0));
    const specification = { flags: allFlags, width, precision };
    if (type === '%') return '%';
    return formatted(type, name === undefined ? next() : named(values, name), specification);
  });
  if (!usesNames && used < given.length && !isSubscriptable(values)) {
    throw new TemplateError('not all arguments converted during string formatting');
  }
  return text;
}

/** What may be left over: Python takes all that has items for a mapping. */
const isSubscriptable = (value: Value): boolean =>
  Array.isArray(value) || value instanceof Dict || value instanceof Range || value instanceof Undefined;

function named(values: Value, name: string): Value {
  if (!(values instanceof Dict)) throw new TemplateError('format requires a mapping');
  const value = values.get(name);
  if (value === undefined) throw new TemplateError(`'${name}'`);
  return value;
}

function formatted(type: string, value: Value, specification: Specification): string {
  if (type === 's') return padded(cut(str(value), specification), specification);
  if (type === 'r') return padded(cut(repr(value), specification), specification);
  if (type === 'a') return padded(cut(repr(value, true), specification), specification);
  if (type === 'c') return padded(character(value), specification);
  if ('diuoxX'.includes(type)) return integer(type, value, specification);
  if ('eEfFgG'.includes(type)) return float(type, value, specification);
  throw new TemplateError(`unsupported format character '${type}'`);
}

const cut = (text: string, { precision }: Specification): string =>
  precision === undefined ? text : sliceOf(text, 0, precision);

function padded(text: string, { flags, width }: Specification): string {
  const blanks = ' '.repeat(Math.max(0, width - lengthOf(text)));
  return flags.includes('-') ? text + blanks : blanks + text;
}

function character(value: Value): string {
  const text = textOf(value);
  if (text !== undefined && lengthOf(text) === 1) return text;
  const code = intOf(value);
  if (code === undefined) throw new TemplateError('%c requires int or char');
  if (code < 0n || code > 0x10ffffn) throw new TemplateError('%c arg not in range(0x110000)');
  return String.fromCodePoint(Number(code));
}

const RADIX: Readonly<Record<string, number>> = { o: 8, x: 16, X: 16 };

function integer(type: string, value: Value, specification: Specification): string {
  const int = intOf(value) ?? (typeof value === 'number' && !RADIX[type] ? truncated(value) : undefined);
  if (int === undefined) {
    if (value instanceof Undefined) throw value.error();
    throw new TemplateError(`%${type} format: a real number is required, not ${typeName(value)}`);
  }
  const magnitude = (int < 0n ? -int : int).toString(RADIX[type] ?? 10);
  const digits = magnitude.padStart(specification.precision ?? 0, '0');
  const prefix = specification.flags.includes('#') && RADIX[type] ? `0${type}` : '';
  const cased = type === 'X' ? digits.toUpperCase() : digits;
  return signed(int < 0n ? '-' : '', prefix, cased, specification);
}

function float(type: string, value: Value, specification: Specification): string {
  const number = numberOf(value);
  if (number === undefined) {
    if (value instanceof Undefined) throw value.error();
    throw new TemplateError(`must be real number, not ${typeName(value)}`);
  }
  const x = typeof number === 'bigint' ? floatOfInt(number) : number;
  const style = type.toLowerCase() as 'e' | 'f' | 'g';
  if ((specification.precision ?? 0) > 1000) throw notSupported('a precision of more than 1000 digits');
  const text = formatFloat(x, style, specification.precision ?? 6, specification.flags.includes('#'));
  const cased = type === style ? text : text.toUpperCase();
  const isNegative = cased.startsWith('-');
  return signed(
    isNegative ? '-' : '',
    '',
    isNegative ? cased.slice(1) : cased,
    specification,
    Number.isFinite(x),
  );
}

function signed(
  sign: string,
  prefix: string,
  digits: string,
  specification: Specification,
  mayFill = true,
): string {
  const { flags, width } = specification;
  const shown = sign || (flags.includes('+') ? '+' : flags.includes(' ') ? ' ' : '');
  const zeros = flags.includes('0') && !flags.includes('-') && mayFill;
  const room = width - shown.length - prefix.length;
  return padded(shown + prefix + (zeros ? digits.padStart(room, '0') : digits), specification);
}
