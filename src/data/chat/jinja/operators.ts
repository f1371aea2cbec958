import { notSupported, TemplateError } from './errors.js';
import { escapeHtml } from './html.js';
import { checkBits, checkElements, checkText, spend } from './limits.js';
import type { BinaryOperator } from './nodes.js';
import { floatOfInt } from './numbers.js';
import { percentFormat } from './percentFormat.js';
import { str } from './printing.js';
import { intOf, Markup, numberOf, Tuple, textOf, typeName, Undefined, type Value } from './values.js';

/** a + b and its like. @throws TemplateError for types that do not go together */
export function binary(operator: BinaryOperator, a: Value, b: Value): Value {
  if (operator === '%' && typeof a === 'string') return percentFormat(a, b);
  for (const value of [a, b]) if (value instanceof Undefined) throw value.error();
  if (operator === '%' && a instanceof Markup) throw notSupported('% of an escaped text');
  const found = arithmetic(operator, a, b);
  if (found !== undefined) return found;
  if (operator === '+') return plus(a, b);
  if (operator === '*') return times(a, b);
  throw unsupported(operator, a, b);
}

const unsupported = (operator: string, a: Value, b: Value): TemplateError =>
  new TemplateError(`unsupported operand type(s) for ${operator}: '${typeName(a)}' and '${typeName(b)}'`);

function arithmetic(operator: BinaryOperator, a: Value, b: Value): Value | undefined {
  const [x, y] = [numberOf(a), numberOf(b)];
  if (x === undefined || y === undefined) return undefined;
  if (typeof x === 'bigint' && typeof y === 'bigint') return ofInts(operator, x, y);
  return ofFloats(operator, toFloat(x), toFloat(y));
}

const toFloat = (x: bigint | number): number => (typeof x === 'bigint' ? floatOfInt(x) : x);
const byZero = (what: string): TemplateError => new TemplateError(`${what} by zero`);
const bits = (x: bigint): number => x.toString(16).length * 4;

function ofInts(operator: BinaryOperator, x: bigint, y: bigint): Value {
  if (operator === '+') return x + y;
  if (operator === '-') return x - y;
  if (operator === '*') {
    checkBits(bits(x) + bits(y));
    return x * y;
  }
  if (operator === '**') return powerOfInts(x, y);
  if (y === 0n) throw byZero(operator === '/' ? 'division' : 'integer division or modulo');
  if (operator === '/') return quotient(x, y);
  const rest = x % y;
  const isAdjusted = rest !== 0n && rest < 0n !== y < 0n;
  if (operator === '%') return isAdjusted ? rest + y : rest;
  return isAdjusted ? x / y - 1n : x / y;
}

function powerOfInts(x: bigint, y: bigint): Value {
  if (y < 0n) return ofFloats('**', floatOfInt(x), floatOfInt(y));
  if (x !== 0n && x !== 1n && x !== -1n) checkBits(bits(x) * Number(y));
  else return x === -1n && y % 2n !== 0n ? -1n : y === 0n ? 1n : x * x;
  return x ** y;
}

/** The float nearest to x / y. */
function quotient(x: bigint, y: bigint): number {
  const [a, b] = [x < 0n ? -x : x, y < 0n ? -y : y];
  const sign = x < 0n !== y < 0n ? -1 : 1;
  const most = BigInt(Number.MAX_SAFE_INTEGER);
  if (a <= most && b <= most) return (sign * Number(a)) / Number(b);
  // 66 bits of the quotient, the last of which says whether there are more: Number() rounds them once.
  const shift = Math.max(0, 66 - (bits(a) - bits(b)));
  const scaled = a << BigInt(shift);
  const float = Number((scaled / b) | (scaled % b === 0n ? 0n : 1n)) / 2 ** Math.min(shift, 1000);
  const result = float / 2 ** Math.max(0, shift - 1000);
  if (!Number.isFinite(result)) throw new TemplateError('integer division result too large for a float');
  return sign * result;
}

function ofFloats(operator: BinaryOperator, x: number, y: number): number {
  if (operator === '+') return x + y;
  if (operator === '-') return x - y;
  if (operator === '*') return x * y;
  if (operator === '**') return powerOfFloats(x, y);
  if (y === 0) throw byZero(operator === '/' ? 'float division' : 'float floor division');
  if (operator === '/') return x / y;
  let rest = x % y;
  let whole = (x - rest) / y;
  if (rest === 0) rest = y < 0 ? -0 : 0;
  else if (rest < 0 !== y < 0) {
    rest += y;
    whole -= 1;
  }
  if (operator === '%') return rest;
  if (whole === 0) return x / y < 0 || Object.is(x / y, -0) ? -0 : 0;
  const floor = Math.floor(whole);
  return whole - floor > 0.5 ? floor + 1 : floor;
}

function powerOfFloats(x: number, y: number): number {
  if (x === 0 && y < 0) throw new TemplateError('0.0 cannot be raised to a negative power');
  if (x === 1 || y === 0) return 1;
  if (x === -1 && !Number.isFinite(y) && !Number.isNaN(y)) return 1;
  if (x < 0 && Number.isFinite(x) && Number.isFinite(y) && !Number.isInteger(y)) {
    throw notSupported('a complex number');
  }
  const power = x ** y;
  if (!Number.isFinite(power) && Number.isFinite(x) && Number.isFinite(y)) {
    throw new TemplateError('(34, "Numerical result out of range")');
  }
  return power;
}

function plus(a: Value, b: Value): Value {
  const [left, right] = [textOf(a), textOf(b)];
  if (left !== undefined && right !== undefined) {
    checkText(left.length + right.length);
    if (!(a instanceof Markup) && !(b instanceof Markup)) return left + right;
    const escaped = (value: Value, text: string) => (value instanceof Markup ? text : escapeHtml(text));
    return new Markup(escaped(a, left) + escaped(b, right));
  }
  if (Array.isArray(a) && Array.isArray(b)) {
    checkElements(a.length + b.length);
    spend((a.length + b.length) >> 3);
    return [...a, ...b];
  }
  if (a instanceof Tuple && b instanceof Tuple) return new Tuple([...a.items, ...b.items]);
  if (left !== undefined) {
    throw new TemplateError(`can only concatenate str (not "${typeName(b)}") to str`);
  }
  throw unsupported('+', a, b);
}

/** A sequence and how often. */
function times(a: Value, b: Value): Value {
  const [sequence, count] = intOf(b) === undefined ? [b, intOf(a)] : [a, intOf(b)];
  const text = textOf(sequence);
  const items = sequence instanceof Tuple ? sequence.items : sequence;
  const length = text?.length ?? (Array.isArray(items) ? items.length : undefined);
  if (count === undefined || length === undefined) throw unsupported('*', a, b);
  if (BigInt.asIntN(64, count) !== count) {
    throw new TemplateError("cannot fit 'int' into an index-sized integer");
  }
  const copies = count < 0n ? 0 : Number(count);
  const checkLength = text === undefined ? checkElements : checkText;
  checkLength(length === 0 ? 0 : length * copies);
  if (text !== undefined) {
    const repeated = length === 0 ? '' : text.repeat(copies);
    return sequence instanceof Markup ? new Markup(repeated) : repeated;
  }
  const all = length === 0 ? [] : Array.from({ length: copies }, () => items as Value[]).flat();
  return sequence instanceof Tuple ? new Tuple(all) : all;
}

/** -a and +a @throws TemplateError */
export function unary(sign: '-' | '+', a: Value): Value {
  if (a instanceof Undefined) throw a.error();
  const number = numberOf(a);
  if (number === undefined) throw new TemplateError(`bad operand type for unary ${sign}: '${typeName(a)}'`);
  return sign === '-' ? -number : number;
}

/** a ~ b */
export const concatenated = (parts: readonly Value[]): string => parts.map(str).join('');
