import { notSupported, TemplateError } from './errors.js';
import { spend } from './limits.js';
import { quoted } from './unicode.js';
import {
  Dict,
  DictView,
  Markup,
  Namespace,
  Range,
  Tuple,
  typeName,
  Undefined,
  type Value,
} from './values.js';

/** str() and repr(). */

const MOST_DIGITS = 4300;

/** @throws TemplateError for more digits than Python prints */
export function intText(value: bigint): string {
  const text = value.toString();
  if (text.length > MOST_DIGITS + 1) {
    throw new TemplateError(`Exceeds the limit (${MOST_DIGITS} digits) for integer string conversion`);
  }
  return text;
}

/** repr() of a float: the shortest digits, with an exponent below 1e-4 and from 1e16 on. */
export function floatText(value: number): string {
  if (Number.isNaN(value)) return 'nan';
  if (!Number.isFinite(value)) return value < 0 ? '-inf' : 'inf';
  if (Object.is(value, -0)) return '-0.0';
  const [mantissa, exponentText] = value.toExponential().split('e') as [string, string];
  const exponent = Number(exponentText);
  if (value !== 0 && (exponent < -4 || exponent >= 16)) {
    const sign = exponent < 0 ? '-' : '+';
    return `${mantissa}e${sign}${String(Math.abs(exponent)).padStart(2, '0')}`;
  }
  const text = withoutExponent(mantissa, exponent);
  return text.includes('.') ? text : `${text}.0`;
}

function withoutExponent(mantissa: string, exponent: number): string {
  const sign = mantissa.startsWith('-') ? '-' : '';
  const digits = mantissa.replace(/[-.]/g, '');
  if (exponent < 0) return `${sign}0.${'0'.repeat(-exponent - 1)}${digits}`;
  const whole = digits.slice(0, exponent + 1).padEnd(exponent + 1, '0');
  const fraction = digits.slice(exponent + 1);
  return sign + whole + (fraction === '' ? '' : `.${fraction}`);
}

/** str(value) @throws TemplateError for values whose text has an address in it */
export function str(value: Value): string {
  if (typeof value === 'string') return value;
  if (value instanceof Markup) return value.text;
  if (value instanceof Undefined) return '';
  return repr(value);
}

/** repr(value) @throws TemplateError */
export function repr(value: Value, isAscii = false): string {
  spend();
  if (value === null) return 'None';
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  if (typeof value === 'bigint') return intText(value);
  if (typeof value === 'number') return floatText(value);
  if (typeof value === 'string') return quoted(value, isAscii);
  const inside = (parts: readonly Value[]) => parts.map((part) => repr(part, isAscii)).join(', ');
  if (Array.isArray(value)) return `[${inside(value)}]`;
  if (value instanceof Tuple) return `(${inside(value.items)}${value.items.length === 1 ? ',' : ''})`;
  if (value instanceof Dict) return dictText(value, isAscii);
  if (value instanceof DictView) return `${value.typeName}([${inside(value.items())}])`;
  if (value instanceof Range) return rangeText(value);
  if (value instanceof Markup) return `Markup(${quoted(value.text, isAscii)})`;
  if (value instanceof Undefined) return 'Undefined';
  if (value instanceof Namespace) return `<Namespace ${dictText(value.attributes, isAscii)}>`;
  throw notSupported(`the text of a ${typeName(value)} (in Python an address of memory)`);
}

function dictText(dict: Dict, isAscii: boolean): string {
  const parts = Array.from(
    dict.entries(),
    ([key, value]) => `${repr(key, isAscii)}: ${repr(value, isAscii)}`,
  );
  return `{${parts.join(', ')}}`;
}

const rangeText = ({ start, stop, step }: Range): string =>
  `range(${start}, ${stop}${step === 1n ? '' : `, ${step}`})`;
