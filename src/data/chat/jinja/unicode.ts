import { spend, spendOnCharacters } from './limits.js';

/** Texts as Python sees them: by code points, with its own white space. */

/** White space, for a class of a regular expression. */
export const SPACE = '\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000';

const SURROGATE = /[\ud800-\udfff]/;

/** Whether an index counts code points. */
const isFlat = (text: string): boolean => !SURROGATE.test(text);

/** Whether two units are one code point here. */
const isPair = (text: string, at: number): boolean =>
  (text.charCodeAt(at) & 0xfc00) === 0xd800 && (text.charCodeAt(at + 1) & 0xfc00) === 0xdc00;

export function lengthOf(text: string): number {
  if (isFlat(text)) return text.length;
  spend(text.length >> 6);
  let length = 0;
  for (let at = 0; at < text.length; at += isPair(text, at) ? 2 : 1) length++;
  return length;
}

/** Code points [start, end). */
export function sliceOf(text: string, start: number, end: number): string {
  if (isFlat(text)) return text.slice(start, Math.max(start, end));
  spend(text.length >> 6);
  let [at, count] = [0, 0];
  const moveTo = (index: number): number => {
    for (; count < index && at < text.length; count++) at += isPair(text, at) ? 2 : 1;
    return at;
  };
  const first = moveTo(start);
  return text.slice(first, moveTo(Math.max(start, end)));
}

/** The number of code points before UTF-16 unit `at`. */
export const indexOfUnit = (text: string, at: number): number => lengthOf(text.slice(0, at));

/** Order by code points: negative, 0 or positive. */
export function compareTexts(a: string, b: string): number {
  if (a === b) return 0;
  if (isFlat(a) && isFlat(b)) return a < b ? -1 : 1;
  const [left, right] = [[...a], [...b]];
  for (const [i, character] of left.entries()) {
    const difference = character.codePointAt(0)! - (right[i]?.codePointAt(0) ?? -1);
    if (difference !== 0) return difference;
  }
  return left.length - right.length;
}

/** Characters that repr shows as they are. */
const HIDDEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}\p{Zs}]/u;
export const isPrintable = (character: string): boolean => character === ' ' || !HIDDEN.test(character);

const DIGRAPHS = ['Ǆǅǆ', 'Ǉǈǉ', 'Ǌǋǌ', 'Ǳǲǳ'];

/** The title case of a character, as str.title() and str.capitalize() have it. */
export function titleCase(character: string): string {
  if (character === '') return '';
  const digraph = DIGRAPHS.find((forms) => forms.includes(character));
  if (digraph) return digraph[1]!;
  const code = character.codePointAt(0)!;
  if (code >= 0x1f80 && code < 0x1fb0) return String.fromCodePoint(code | 8);
  if (code === 0x1fb3 || code === 0x1fc3 || code === 0x1ff3) return String.fromCodePoint(code + 9);
  if (character === 'ŉ') return 'ʼN';
  const [first = '', ...rest] = character.toUpperCase();
  // An iota that stands below a letter stays there.
  return first + rest.join('').toLowerCase().replace('ι', '\u0345');
}

const escapedCode = (character: string): string => {
  const code = character.codePointAt(0)!;
  if (code < 0x100) return `\\x${code.toString(16).padStart(2, '0')}`;
  if (code < 0x10000) return `\\u${code.toString(16).padStart(4, '0')}`;
  return `\\U${code.toString(16).padStart(8, '0')}`;
};

const NAMED: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t', '\\': '\\\\' };

/** repr() of a text. @param isAscii ascii() instead */
export function quoted(text: string, isAscii = false): string {
  spendOnCharacters(text);
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  let inside = '';
  for (const character of text) {
    if (character === quote) inside += `\\${quote}`;
    else if (NAMED[character]) inside += NAMED[character];
    else if (!isPrintable(character) || (isAscii && character > '\x7f')) inside += escapedCode(character);
    else inside += character;
  }
  return quote + inside + quote;
}
