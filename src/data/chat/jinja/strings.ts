import { notSupported, TemplateError } from './errors.js';
import { escaped } from './html.js';
import { checkText, spend, spendOnCharacters } from './limits.js';
import { requireIndex, requireText } from './numbers.js';
import { iterate, listOf } from './sequences.js';
import { cased, classes } from './stringClasses.js';
import { indexOfUnit, lengthOf, SPACE, sliceOf } from './unicode.js';
import { isTrue, Markup, Tuple, textOf, typeName, type Value } from './values.js';

/** The methods of str. */

type Argument = Value | undefined;
export type Method = readonly [
  parameters: string,
  run: (text: string, a: Argument, b: Argument, c: Argument) => Value,
];

const LEFT_SPACE = new RegExp(`^[${SPACE}]+`);
const SPACES = new RegExp(`[${SPACE}]+`, 'g');

export function strip(text: string, characters: Argument, left: boolean, right: boolean): string {
  if (characters === undefined || characters === null) {
    const cut = left ? text.replace(LEFT_SPACE, '') : text;
    return right ? trimEnd(cut) : cut;
  }
  spendOnCharacters(text);
  const set = new Set(requireText(characters, 'strip arg'));
  const units = [...text];
  const start = left ? units.findIndex((unit) => !set.has(unit)) : 0;
  const end = right ? units.findLastIndex((unit) => !set.has(unit)) + 1 : units.length;
  return start < 0 ? '' : units.slice(start, end).join('');
}

const SPACE_CHARACTER = new RegExp(`[${SPACE}]`);

/** In linear time, which a pattern is not for text with long runs of white space inside. */
function trimEnd(text: string): string {
  let end = text.length;
  while (end > 0 && SPACE_CHARACTER.test(text[end - 1]!)) end--;
  spend((text.length - end) >> 2);
  return text.slice(0, end);
}

function split(text: string, separator: Argument, most: Argument): string[] {
  const limit = most === undefined ? -1 : requireIndex(most);
  const isLimited = limit >= 0;
  if (separator === undefined || separator === null) return splitSpace(text, isLimited ? limit : Infinity);
  const by = requireText(separator, 'separator');
  if (by === '') throw new TemplateError('empty separator');
  const parts = text.split(by);
  if (!isLimited || parts.length <= limit + 1) return parts;
  return [...parts.slice(0, limit), parts.slice(limit).join(by)];
}

function splitSpace(text: string, limit: number): string[] {
  spendOnCharacters(text);
  const rest = text.replace(LEFT_SPACE, '');
  const words: string[] = [];
  let at = 0;
  for (const { 0: blanks, index } of rest.matchAll(SPACES)) {
    if (words.length >= limit) break;
    words.push(rest.slice(at, index));
    at = index + blanks.length;
  }
  if (at < rest.length) words.push(rest.slice(at));
  return words;
}

function rsplit(text: string, separator: Argument, most: Argument): string[] {
  const limit = most === undefined ? -1 : requireIndex(most);
  if (limit < 0) return split(text, separator, undefined);
  if (separator === undefined || separator === null) {
    const reversed = splitSpace(reverse(text), limit);
    return reversed.map(reverse).reverse();
  }
  const by = requireText(separator, 'separator');
  if (by === '') throw new TemplateError('empty separator');
  const parts = text.split(by);
  if (parts.length <= limit + 1) return parts;
  const first = parts.length - limit;
  return [parts.slice(0, first).join(by), ...parts.slice(first)];
}

export function reverse(text: string): string {
  spendOnCharacters(text);
  return [...text].reverse().join('');
}

const LINE_ENDS = '\\n\\r\\v\\f\\x1c-\\x1e\\x85\\u2028\\u2029';
const LINE_END = new RegExp(`\\r\\n|[${LINE_ENDS}]`, 'g');

export function splitLines(text: string, keepEnds = false): string[] {
  const lines: string[] = [];
  let at = 0;
  for (const { 0: end, index } of text.matchAll(LINE_END)) {
    lines.push(text.slice(at, index + (keepEnds ? end.length : 0)));
    at = index + end.length;
  }
  if (at < text.length) lines.push(text.slice(at));
  return lines;
}

export function replace(text: string, from: string, to: string, count: number): string {
  if (count < 0) {
    checkText(text.length + (from === '' ? text.length + 1 : text.split(from).length - 1) * to.length);
    return from === '' ? ['', ...text, ''].join(to) : text.replaceAll(from, () => to);
  }
  const parts = from === '' ? ['', ...text] : text.split(from);
  if (parts.length <= count + 1) return replace(text, from, to, -1);
  return [parts.slice(0, count + 1).join(to), ...parts.slice(count + 1)].join(from);
}

export function padded(text: string, width: number, fill: string, where: 'left' | 'right' | 'both'): string {
  const room = width - lengthOf(text);
  if (room <= 0) return text;
  checkText(room);
  if (where === 'left') return text + fill.repeat(room);
  if (where === 'right') return fill.repeat(room) + text;
  // As CPython: the odd one goes to the left where both the room and the width are odd.
  const left = Math.floor(room / 2) + (room & width & 1);
  return fill.repeat(left) + text + fill.repeat(room - left);
}

function fillOf(fill: Argument): string {
  const text = fill === undefined ? ' ' : requireText(fill, 'fill character');
  if (lengthOf(text) === 1) return text;
  throw new TemplateError('The fill character must be exactly one character long');
}

/** A part of a text that is searched, in UTF-16 units. */
function window(text: string, start: Argument, end: Argument): { from: number; part: string } | undefined {
  if ((start ?? null) === null && (end ?? null) === null) return { from: 0, part: text };
  const length = lengthOf(text);
  const edge = (value: Argument, otherwise: number): number => {
    if (value === undefined || value === null) return otherwise;
    const index = requireIndex(value);
    return Math.max(0, index < 0 ? index + length : index);
  };
  const [first, last] = [edge(start, 0), Math.min(length, edge(end, length))];
  if (first > last) return undefined;
  return { from: sliceOf(text, 0, first).length, part: sliceOf(text, first, last) };
}

function find(text: string, what: Argument, start: Argument, end: Argument, isLast: boolean): bigint {
  const needle = requireText(what!);
  const within = window(text, start, end);
  if (!within) return -1n;
  const at = isLast ? within.part.lastIndexOf(needle) : within.part.indexOf(needle);
  return at < 0 ? -1n : BigInt(indexOfUnit(text, within.from + at));
}

function found(at: bigint): bigint {
  if (at < 0n) throw new TemplateError('substring not found');
  return at;
}

function count(text: string, what: Argument, start: Argument, end: Argument): bigint {
  const needle = requireText(what!);
  const within = window(text, start, end);
  if (!within) return 0n;
  return BigInt(needle === '' ? lengthOf(within.part) + 1 : within.part.split(needle).length - 1);
}

function affix(text: string, what: Argument, start: Argument, end: Argument, isEnd: boolean): boolean {
  const options = what instanceof Tuple ? what.items : [what!];
  const within = window(text, start, end);
  return options.some((option) => {
    const affixText = requireText(option, `${isEnd ? 'endswith' : 'startswith'} first arg`);
    if (!within) return false;
    return isEnd ? within.part.endsWith(affixText) : within.part.startsWith(affixText);
  });
}

function partition(text: string, separator: Argument, isLast: boolean): Tuple {
  const by = requireText(separator!);
  if (by === '') throw new TemplateError('empty separator');
  const at = isLast ? text.lastIndexOf(by) : text.indexOf(by);
  if (at < 0) return new Tuple(isLast ? ['', '', text] : [text, '', '']);
  return new Tuple([text.slice(0, at), by, text.slice(at + by.length)]);
}

/** separator.join(parts) @throws TemplateError for a part that is no text */
export function join(separator: string, parts: Value): string {
  const texts: string[] = [];
  const iterator = iterate(parts);
  for (let next = iterator.next(); !next.done; next = iterator.next()) {
    const text = textOf(next.value);
    if (text === undefined) {
      throw new TemplateError(
        `sequence item ${texts.length}: expected str instance, ${typeName(next.value)} found`,
      );
    }
    texts.push(text);
  }
  return texts.join(separator);
}

function expandTabs(text: string, size: number): string {
  spendOnCharacters(text);
  let column = 0;
  let expanded = '';
  for (const character of text) {
    if (character === '\t') {
      const blanks = size > 0 ? size - (column % size) : 0;
      checkText(expanded.length + blanks);
      expanded += ' '.repeat(blanks);
      column += blanks;
    } else {
      expanded += character;
      column = character === '\n' || character === '\r' ? 0 : column + 1;
    }
  }
  return expanded;
}

function zfill(text: string, width: number): string {
  const [sign = ''] = /^[+-]?/.exec(text)!;
  const room = width - lengthOf(text);
  if (room <= 0) return text;
  checkText(room);
  return sign + '0'.repeat(room) + text.slice(sign.length);
}

const refused = (name: string): Method => [
  'a? b? c?',
  () => {
    throw notSupported(`the method str.${name}`);
  },
];

export const STRING_METHODS: Readonly<Record<string, Method>> = {
  encode: refused('encode'),
  maketrans: refused('maketrans'),
  translate: refused('translate'),
  strip: ['chars?', (text, chars) => strip(text, chars, true, true)],
  lstrip: ['chars?', (text, chars) => strip(text, chars, true, false)],
  rstrip: ['chars?', (text, chars) => strip(text, chars, false, true)],
  split: ['sep? maxsplit?', split],
  rsplit: ['sep? maxsplit?', rsplit],
  splitlines: ['keepends?', (text, keep) => splitLines(text, keep !== undefined && isTrue(keep))],
  partition: ['sep', (text, by) => partition(text, by, false)],
  rpartition: ['sep', (text, by) => partition(text, by, true)],
  replace: [
    'old new count?',
    (text, from, to, most) =>
      replace(text, requireText(from!), requireText(to!), most === undefined ? -1 : requireIndex(most)),
  ],
  join: ['iterable', (text, parts) => join(text, parts!)],
  find: ['sub start? end?', (text, a, b, c) => find(text, a, b, c, false)],
  rfind: ['sub start? end?', (text, a, b, c) => find(text, a, b, c, true)],
  index: ['sub start? end?', (text, a, b, c) => found(find(text, a, b, c, false))],
  rindex: ['sub start? end?', (text, a, b, c) => found(find(text, a, b, c, true))],
  count: ['sub start? end?', count],
  startswith: ['prefix start? end?', (text, a, b, c) => affix(text, a, b, c, false)],
  endswith: ['suffix start? end?', (text, a, b, c) => affix(text, a, b, c, true)],
  removeprefix: [
    'prefix',
    (text, a) => (text.startsWith(requireText(a!)) ? text.slice(requireText(a!).length) : text),
  ],
  removesuffix: [
    'suffix',
    (text, a) => {
      const suffix = requireText(a!);
      return suffix !== '' && text.endsWith(suffix) ? text.slice(0, -suffix.length) : text;
    },
  ],
  center: [
    'width fillchar?',
    (text, width, fill) => padded(text, requireIndex(width!), fillOf(fill), 'both'),
  ],
  ljust: ['width fillchar?', (text, width, fill) => padded(text, requireIndex(width!), fillOf(fill), 'left')],
  rjust: [
    'width fillchar?',
    (text, width, fill) => padded(text, requireIndex(width!), fillOf(fill), 'right'),
  ],
  zfill: ['width', (text, width) => zfill(text, requireIndex(width!))],
  expandtabs: ['tabsize?', (text, size) => expandTabs(text, size === undefined ? 8 : requireIndex(size))],
  ...Object.fromEntries(Object.entries(cased).map(([name, run]): [string, Method] => [name, ['', run]])),
  ...Object.fromEntries(Object.entries(classes).map(([name, run]): [string, Method] => [name, ['', run]])),
};

/** Methods of Markup that give marked texts. */
const MARKING = new Set([
  'strip',
  'lstrip',
  'rstrip',
  'split',
  'rsplit',
  'splitlines',
  'partition',
  'rpartition',
  'replace',
  'join',
  'removeprefix',
  'removesuffix',
  'center',
  'ljust',
  'rjust',
  'zfill',
  'expandtabs',
  ...Object.keys(cased),
]);
/** Those whose second argument is escaped. */
const ESCAPING = new Set(['replace', 'center', 'ljust', 'rjust']);

/** A method of Markup, from that of str. */
export function markupMethod(name: string, [parameters, run]: Method): Method {
  if (!MARKING.has(name)) return [parameters, run];
  if (name === 'join')
    return [parameters, (text, parts) => marked(run(text, listOf(parts!).map(escaped), null, null))];
  const second = (value: Argument): Argument =>
    ESCAPING.has(name) && typeof value === 'string' ? escaped(value) : value;
  return [parameters, (text, a, b, c) => marked(run(text, a, second(b), c))];
}

function marked(value: Value): Value {
  if (typeof value === 'string') return new Markup(value);
  if (Array.isArray(value)) return value.map(marked);
  return value instanceof Tuple ? new Tuple(value.items.map(marked)) : value;
}
