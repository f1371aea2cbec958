import type { Estimate } from '../analysis/estimate.js';

/** Numbers and names as a report shows them. */

const SMALL = 1e-3;
const LARGE = 1e5;

/** Three significant digits, in powers of ten where it is small or large. */
export function short(value: number): string {
  if (value === 0) return '0';
  if (!Number.isFinite(value)) return String(value);
  const size = Math.abs(value);
  if (size < SMALL || size >= LARGE) return exponent(value, 2);
  return size >= 100 ? String(Math.round(value)) : String(Number(value.toPrecision(3)));
}

const exponent = (value: number, digits: number): string => {
  const [mantissa, power] = value.toExponential(digits).split('e');
  return `${Number(mantissa)}e${Number(power)}`;
};

/** A learning rate, such as 3.2e-4. */
export const rate = (lr: number): string => exponent(lr, 1);

/** A loss in nats per token: four places. */
export const nats = (value: number): string => value.toFixed(4);

/** A difference, with its sign. */
export const signed = (value: number): string => `${value < 0 ? '-' : '+'}${nats(Math.abs(value))}`;

/** A ratio: three digits. */
export const times = (ratio: number): string => {
  const isPlain = ratio >= SMALL && ratio < 100;
  return `${isPlain ? ratio.toPrecision(3) : short(ratio)}x`;
};

/** A power, such as the slope of a log-log line. */
export const power = (value: number): string => value.toFixed(3);

type Show = (value: number) => string;

/** `[low, high]`; nothing where there is no interval. */
export const range = (interval: Estimate['interval'], show: Show): string =>
  interval ? `[${show(interval[0])}, ${show(interval[1])}]` : '';

export const withRange = ({ mean, interval }: Estimate, show: Show): string =>
  `${show(mean)}${interval ? ` ${range(interval, show)}` : ''}`;

/** `4 batches`, `1 batch`. */
export const plural = (count: number, one: string, many = `${one}s`): string =>
  `${count.toLocaleString('en')} ${count === 1 ? one : many}`;

/** `a, b and c`. */
export const list = (names: readonly string[]): string =>
  names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`;

const UNITS = [
  ['h', 3600],
  ['min', 60],
  ['s', 1],
] as const;

/** Seconds in the unit that fits. */
export function duration(seconds: number): string {
  const [unit, size] = UNITS.find(([, size]) => seconds >= size) ?? UNITS[2];
  return `${short(seconds / size)} ${unit}`;
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Text for HTML, in elements and in quoted attributes. */
export const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, (char) => ENTITIES[char]!);
