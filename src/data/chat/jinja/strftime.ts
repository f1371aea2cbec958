import { notSupported } from './errors.js';

/**
 * The day that strftime_now is asked on: a conversation gives the same text on any day, or a run that is resumed would
 * not be the same run. It is the day that the templates of Llama 3 name where they are not told one.
 */
const [YEAR, MONTH, DAY] = [2024, 7, 26];
const [WEEKDAY, DAY_OF_YEAR, WEEK] = [5, 208, 30];

const two = (value: number): string => String(value).padStart(2, '0');

/** As datetime.strftime in the C locale, at midnight. */
const DIRECTIVES: Readonly<Record<string, string>> = {
  Y: String(YEAR),
  y: two(YEAR % 100),
  G: String(YEAR),
  C: '20',
  m: two(MONTH),
  B: 'July',
  b: 'Jul',
  h: 'Jul',
  d: two(DAY),
  e: String(DAY).padStart(2),
  j: String(DAY_OF_YEAR),
  A: 'Friday',
  a: 'Fri',
  w: String(WEEKDAY),
  u: String(WEEKDAY),
  U: '29',
  W: String(WEEK),
  V: String(WEEK),
  H: '00',
  I: '12',
  M: '00',
  S: '00',
  f: '000000',
  p: 'AM',
  P: 'am',
  Z: '',
  z: '',
  k: ' 0',
  l: '12',
  c: 'Fri Jul 26 00:00:00 2024',
  x: '07/26/24',
  X: '00:00:00',
  D: '07/26/24',
  F: '2024-07-26',
  T: '00:00:00',
  R: '00:00',
  r: '12:00:00 AM',
  n: '\n',
  t: '\t',
  '%': '%',
};

/** Without zeros or blanks before a number, as glibc has it. */
const unpadded = (text: string): string => text.replace(/^[0 ]+(?=.)/, '');

/** @throws TemplateError for directives that are not known */
export function formatDate(format: string): string {
  return format.replace(/%(-?)(.)?/gsu, (whole, minus: string, letter: string | undefined) => {
    const text = letter === undefined ? undefined : DIRECTIVES[letter];
    if (text === undefined) throw notSupported(`${whole} in strftime_now`);
    return minus ? unpadded(text) : text;
  });
}
