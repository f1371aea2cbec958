import { notSupported, TemplateError } from './errors.js';
import { SPACE } from './unicode.js';
import { intOf, textOf, typeName, Undefined, type Value } from './values.js';

/** Python's int and float: from texts, from one another, and rounded. */

const OUTER_SPACE = new RegExp(`^[${SPACE}]+|[${SPACE}]+$`, 'g');
const OTHER_DIGITS = /(?![0-9])\p{Nd}/u;
const FLOAT = /^[+-]?(?:(?:\d+(?:_\d+)*)(?:\.(?:\d+(?:_\d+)*)?)?|\.\d+(?:_\d+)*)(?:e[+-]?\d+(?:_\d+)*)?$/i;
const SPECIAL = /^([+-]?)(?:(inf(?:inity)?)|nan)$/i;

/** float(text); undefined where it is none. */
export function parseFloatText(text: string): number | undefined {
  const trimmed = text.replace(OUTER_SPACE, '');
  if (FLOAT.test(trimmed)) return Number(trimmed.replaceAll('_', ''));
  const special = SPECIAL.exec(trimmed);
  if (special) return special[2] === undefined ? Number.NaN : special[1] === '-' ? -Infinity : Infinity;
  if (OTHER_DIGITS.test(trimmed)) throw notSupported('a number in other digits than 0 to 9');
  return undefined;
}

const PREFIXES: Readonly<Record<string, number>> = { b: 2, o: 8, x: 16 };

/** int(text, base); undefined where it is none. */
export function parseIntText(text: string, base: number): bigint | undefined {
  if (base !== 0 && (base < 2 || base > 36)) return undefined;
  const match = /^([+-]?)(?:0([box])_?)?([0-9a-z]+(?:_[0-9a-z]+)*)$/i.exec(text.replace(OUTER_SPACE, ''));
  if (!match) {
    if (OTHER_DIGITS.test(text)) throw notSupported('a number in other digits than 0 to 9');
    return undefined;
  }
  const [, sign, letter, rest] = match as unknown as [string, string, string | undefined, string];
  const prefix = letter && PREFIXES[letter.toLowerCase()]!;
  let [radix, digits] = [base, rest];
  if (prefix && (base === 0 || base === prefix)) radix = prefix;
  else if (letter) digits = `0${letter}${rest}`;
  if (radix === 0) {
    if (/^0[0_]*[1-9]/.test(digits)) return undefined;
    radix = 10;
  }
  let value = 0n;
  for (const digit of digits.replaceAll('_', '').toLowerCase()) {
    const worth = Number.parseInt(digit, 36);
    if (worth >= radix) return undefined;
    value = value * BigInt(radix) + BigInt(worth);
  }
  return sign === '-' ? -value : value;
}

/** float(value) of an int @throws TemplateError where it is too large */
export function floatOfInt(value: bigint): number {
  const float = Number(value);
  if (!Number.isFinite(float)) throw new TemplateError('int too large to convert to float');
  return float;
}

/** int(value) of a float; undefined for infinities and NaN. */
export const truncated = (value: number): bigint | undefined =>
  Number.isFinite(value) ? BigInt(Math.trunc(value)) : undefined;

/** An int that an argument has to be. @throws TemplateError */
export function requireInt(value: Value): bigint {
  const int = intOf(value);
  if (int !== undefined) return int;
  if (value instanceof Undefined) throw value.error();
  throw new TemplateError(`'${typeName(value)}' object cannot be interpreted as an integer`);
}

/** An int that is an index or a length; what is out of reach of any is the largest there is. */
export function requireIndex(value: Value): number {
  return Number(BigInt.asIntN(64, requireInt(value)));
}

/** A str that an argument has to be. @throws TemplateError */
export function requireText(value: Value, what = 'argument'): string {
  const text = textOf(value);
  if (text !== undefined) return text;
  if (value instanceof Undefined) throw value.error();
  throw new TemplateError(`${what} must be str, not ${typeName(value)}`);
}

/** A float as mantissa x 2^exponent, exactly. */
function parts(value: number): { mantissa: bigint; exponent: number } {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value);
  const bits = view.getBigUint64(0);
  const raw = Number((bits >> 52n) & 0x7ffn);
  const fraction = bits & ((1n << 52n) - 1n);
  const mantissa = raw === 0 ? fraction : fraction | (1n << 52n);
  return { mantissa: value < 0 ? -mantissa : mantissa, exponent: Math.max(raw, 1) - 1075 };
}

/** numerator / denominator, rounded to the nearest integer, halves to the even one. */
export function divideToEven(numerator: bigint, denominator: bigint): bigint {
  const [n, d] = denominator < 0n ? [-numerator, -denominator] : [numerator, denominator];
  let quotient = n / d;
  let rest = n % d;
  if (rest < 0n) {
    rest += d;
    quotient -= 1n;
  }
  const twice = 2n * rest;
  return twice > d || (twice === d && quotient % 2n !== 0n) ? quotient + 1n : quotient;
}

/** value x 10^digits, rounded to an integer, halves to the even one; exact. */
export function scaledToInt(value: number, digits: number): bigint {
  const { mantissa, exponent } = parts(value);
  const numerator = mantissa * 2n ** BigInt(Math.max(exponent, 0)) * 10n ** BigInt(Math.max(digits, 0));
  const denominator = 2n ** BigInt(Math.max(-exponent, 0)) * 10n ** BigInt(Math.max(-digits, 0));
  return divideToEven(numerator, denominator);
}

/** round(value, digits) of a float. */
export function roundFloat(value: number, digits: number): number {
  if (!Number.isFinite(value) || digits > 323) return value;
  if (digits < -308) return 0 * value;
  const rounded = Number(`${scaledToInt(value, digits)}e${-digits}`);
  return rounded === 0 && (value < 0 || Object.is(value, -0)) ? -0 : rounded;
}

/** round(value, digits) of an int. */
export function roundInt(value: bigint, digits: number): bigint {
  if (digits >= 0) return value;
  const unit = 10n ** BigInt(Math.min(-digits, 5000));
  return divideToEven(value, unit) * unit;
}
