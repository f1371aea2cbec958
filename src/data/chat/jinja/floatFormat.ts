import { scaledToInt } from './numbers.js';

/** Floats with a given number of digits, as C and Python write them: exact, halves to even. */

export type FloatStyle = 'e' | 'f' | 'g';

const special = (value: number): string | undefined =>
  Number.isFinite(value) ? undefined : Number.isNaN(value) ? 'nan' : 'inf';

/** @param isAlternate keep the point and the zeros of g */
export function formatFloat(
  value: number,
  style: FloatStyle,
  precision: number,
  isAlternate = false,
): string {
  const sign = value < 0 || Object.is(value, -0) ? '-' : '';
  const magnitude = Math.abs(value);
  const word = special(value);
  if (word) return (value < 0 ? '-' : '') + word;
  if (style === 'f') return sign + fixed(magnitude, precision, isAlternate);
  if (style === 'e') return sign + scientific(magnitude, precision, isAlternate);
  return sign + general(magnitude, Math.max(1, precision), isAlternate);
}

function fixed(value: number, precision: number, isAlternate: boolean): string {
  const digits = scaledToInt(value, precision)
    .toString()
    .padStart(precision + 1, '0');
  if (precision === 0) return isAlternate ? `${digits}.` : digits;
  return `${digits.slice(0, -precision)}.${digits.slice(-precision)}`;
}

/** `count` significant digits and the exponent of the first. */
function significant(value: number, count: number): { digits: string; exponent: number } {
  if (value === 0) return { digits: '0'.repeat(count), exponent: 0 };
  let exponent = Math.floor(Math.log10(value));
  for (;;) {
    const digits = scaledToInt(value, count - 1 - exponent).toString();
    if (digits.length === count) return { digits, exponent };
    exponent += digits.length > count ? 1 : -1;
  }
}

function scientific(value: number, precision: number, isAlternate: boolean): string {
  const { digits, exponent } = significant(value, precision + 1);
  const point = precision > 0 || isAlternate ? '.' : '';
  return `${digits[0]}${point}${digits.slice(1)}${exponentText(exponent)}`;
}

const exponentText = (exponent: number): string =>
  `e${exponent < 0 ? '-' : '+'}${String(Math.abs(exponent)).padStart(2, '0')}`;

function general(value: number, precision: number, isAlternate: boolean): string {
  const { digits, exponent } = significant(value, precision);
  const trimmed = (text: string) => (isAlternate || !text.includes('.') ? text : text.replace(/\.?0+$/, ''));
  if (exponent < -4 || exponent >= precision) {
    return trimmed(`${digits[0]}.${digits.slice(1)}`) + exponentText(exponent);
  }
  if (exponent < 0) return trimmed(`0.${'0'.repeat(-exponent - 1)}${digits}`);
  return trimmed(`${digits.slice(0, exponent + 1)}.${digits.slice(exponent + 1)}`);
}
