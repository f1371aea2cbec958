import { notSupported } from './errors.js';
import { spendOnCharacters } from './limits.js';
import { isPrintable, SPACE, titleCase } from './unicode.js';

/** Methods of str about letters: their case, and what kind of characters a text has. */

const CASED = /[\p{Lowercase}\p{Uppercase}\p{Lt}]/u;
const LOWER = /\p{Lowercase}/u;
const UPPER_OR_TITLE = /[\p{Uppercase}\p{Lt}]/u;
const UPPER = /\p{Uppercase}/u;
const LOWER_OR_TITLE = /[\p{Lowercase}\p{Lt}]/u;

export function capitalize(text: string): string {
  const [first = ''] = text;
  return titleCase(first) + text.slice(first.length).toLowerCase();
}

function title(text: string): string {
  spendOnCharacters(text);
  let [titled, wasCased] = ['', false];
  for (const character of text) {
    titled += wasCased ? character.toLowerCase() : titleCase(character);
    wasCased = CASED.test(character);
  }
  return titled;
}

function isTitle(text: string): boolean {
  spendOnCharacters(text);
  let [wasCased, hasCased] = [false, false];
  for (const character of text) {
    const isUpper = UPPER_OR_TITLE.test(character);
    if (isUpper ? wasCased : LOWER.test(character) && !wasCased) return false;
    wasCased = CASED.test(character);
    hasCased ||= wasCased;
  }
  return hasCased;
}

function casefold(text: string): string {
  if (/[\x80-\uffff]/.test(text)) throw notSupported('the method str.casefold of other than ASCII');
  return text.toLowerCase();
}

function swapCase(text: string): string {
  spendOnCharacters(text);
  return Array.from(text, swapped).join('');
}

function isPrintableText(text: string): boolean {
  spendOnCharacters(text);
  return Array.from(text).every(isPrintable);
}

const swapped = (character: string): string =>
  UPPER.test(character) ? character.toLowerCase() : character.toUpperCase();

/** Methods that give a text. */
export const cased: Readonly<Record<string, (text: string) => string>> = {
  lower: (text) => text.toLowerCase(),
  upper: (text) => text.toUpperCase(),
  swapcase: swapCase,
  capitalize,
  title,
  casefold,
};

const all = (pattern: string): ((text: string) => boolean) => {
  const whole = new RegExp(`^(?:${pattern})+$`, 'u');
  return (text) => whole.test(text);
};

/** Characters that are digits and no decimals: superscripts, circled ones, ... (Numeric_Type=Digit). */
const DIGITS =
  '\\p{Nd}\\xb2\\xb3\\xb9\\u1369-\\u1371\\u19da\\u2070\\u2074-\\u2079\\u2080-\\u2089\\u2460-\\u2468' +
  '\\u2474-\\u247c\\u2488-\\u2490\\u24ea\\u24f5-\\u24fd\\u24ff\\u2776-\\u277e\\u2780-\\u2788\\u278a-\\u2792' +
  '\\u{10a40}-\\u{10a43}\\u{10e60}-\\u{10e68}\\u{11052}-\\u{1105a}\\u{1f100}-\\u{1f10a}';

/** Methods that say whether a text is of a kind. */
export const classes: Readonly<Record<string, (text: string) => boolean>> = {
  isalpha: all('\\p{L}'),
  isdecimal: all('\\p{Nd}'),
  isdigit: all(`[${DIGITS}]`),
  isnumeric: all('\\p{N}'),
  isalnum: all('[\\p{L}\\p{N}]'),
  isspace: all(`[${SPACE}]`),
  isascii: (text) => !/[\x80-\uffff]/.test(text),
  isidentifier: (text) => /^[\p{XID_Start}_]\p{XID_Continue}*$/u.test(text),
  isprintable: isPrintableText,
  islower: (text) => LOWER.test(text) && !UPPER_OR_TITLE.test(text),
  isupper: (text) => UPPER.test(text) && !LOWER_OR_TITLE.test(text),
  istitle: isTitle,
};
