import { notSupported, TemplateError } from './errors.js';
import type { Filter } from './filter.js';
import { escaped, escapeHtml } from './html.js';
import { requireIndex, requireText } from './numbers.js';
import { percentFormat } from './percentFormat.js';
import { str } from './printing.js';
import { iteratorOf, listOf, size } from './sequences.js';
import { capitalize } from './stringClasses.js';
import { padded, replace, splitLines, strip } from './strings.js';
import { wrapped } from './textWrap.js';
import { lengthOf, SPACE, sliceOf } from './unicode.js';
import { Dict, isTrue, Markup, Tuple, textOf, Undefined, type Value } from './values.js';

/** Filters that give texts. */

/** What was marked stays so. */
const ofText = (value: Value, change: (text: string) => string): Value =>
  value instanceof Markup ? new Markup(change(value.text)) : change(str(value));

const WORD_START = new RegExp(`([-${SPACE}({[<]+)`);

function title(text: string): string {
  const parts = text.split(WORD_START).filter((part) => part !== '');
  return parts.map((part) => titled(part)).join('');
}

function titled(word: string): string {
  const [first = ''] = word;
  return first.toUpperCase() + word.slice(first.length).toLowerCase();
}

function indent(value: Value, width: Value = 4n, first: Value = false, blank: Value = false): Value {
  const by = textOf(width) ?? ' '.repeat(Math.max(0, requireIndex(width)));
  const text = requireText(value, 'the value of indent');
  const lines = splitLines(`${text}\n`);
  const rest = lines.slice(1).map((line) => (line !== '' || isTrue(blank) ? by + line : line));
  const indented = (isTrue(first) ? by : '') + [lines[0]!, ...rest].join('\n');
  return value instanceof Markup ? new Markup(indented) : indented;
}

function truncate(
  value: Value,
  length: Value = 255n,
  kill: Value = false,
  end: Value = '...',
  leeway?: Value,
): Value {
  const [most, spare] = [
    requireIndex(length),
    leeway === undefined || leeway === null ? 5 : requireIndex(leeway),
  ];
  const mark = requireText(end);
  if (most < lengthOf(mark)) throw new TemplateError(`expected length >= ${lengthOf(mark)}, got ${most}`);
  if (spare < 0) throw new TemplateError(`expected leeway >= 0, got ${spare}`);
  if (size(value) <= BigInt(most + spare)) return value;
  const text = requireText(value, 'the value of truncate');
  const cut = sliceOf(text, 0, most - lengthOf(mark));
  if (isTrue(kill)) return cut + mark;
  const at = cut.lastIndexOf(' ');
  return (at < 0 ? cut : cut.slice(0, at)) + mark;
}

function xmlAttributes(value: Value, autospace: Value = true): Value {
  if (!(value instanceof Dict)) throw new TemplateError('xmlattr expects a mapping');
  const parts: string[] = [];
  for (const [key, item] of value.entries()) {
    if (item === null || item instanceof Undefined) continue;
    const name = requireText(key);
    if (/[ \t-\r/>=]/.test(name)) throw new TemplateError(`Invalid character in attribute name: '${name}'`);
    parts.push(`${escapeHtml(name)}="${escaped(item).text}"`);
  }
  return (isTrue(autospace) && parts.length > 0 ? ' ' : '') + parts.join(' ');
}

/** urllib's quote_from_bytes. */
function urlQuoted(value: Value, isQuery: boolean): string {
  const quoted = encodeURIComponent(str(value).toWellFormed()).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return isQuery ? quoted.replaceAll('%20', '+') : quoted.replaceAll('%2F', '/');
}

function urlEncode(value: Value): Value {
  if (textOf(value) !== undefined || !iteratorOf(value)) return urlQuoted(value, false);
  const pairs = value instanceof Dict ? Array.from(value.entries()) : listOf(value).map(pairOf);
  return pairs.map(([key, item]) => `${urlQuoted(key, true)}=${urlQuoted(item, true)}`).join('&');
}

function pairOf(value: Value): [Value, Value] {
  const items = listOf(value);
  if (items.length !== 2) throw new TemplateError('expected pairs for urlencode');
  return items as [Value, Value];
}

const ENTITIES: Readonly<Record<string, string>> = {
  amp: '&',
  lt: '<',
  gt: '>',
  quot: '"',
  apos: "'",
  nbsp: '\xa0',
};

function unescapedHtml(text: string): string {
  const known = new RegExp(`^&(?:#\\d+|#[xX][\\da-fA-F]+|${Object.keys(ENTITIES).join('|')});`);
  for (const { index } of text.matchAll(/&[a-z#]/gi)) {
    if (!known.test(text.slice(index, index + 16)))
      throw notSupported('the filter striptags of other entities');
  }
  return text.replace(/&(?:#(\d+)|#x([\da-f]+)|([a-z]+));/gi, (_, decimal, hex, name) => {
    if (name !== undefined) return ENTITIES[name]!;
    const code = decimal === undefined ? Number.parseInt(hex, 16) : Number(decimal);
    return code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : '\ufffd';
  });
}

const SPACES = new RegExp(`[${SPACE}]+`, 'g');

function stripTags(value: Value): string {
  const text = str(value);
  let [stripped, done] = ['', 0];
  for (let start = text.indexOf('<'); start >= 0; start = text.indexOf('<', done)) {
    const isComment = text.startsWith('<!--', start);
    const end = isComment ? text.indexOf('-->', start + 4) : text.indexOf('>', start);
    if (end < 0) break;
    stripped += text.slice(done, start);
    done = end + (isComment ? 3 : 1);
  }
  const plain = stripped + text.slice(done);
  return unescapedHtml(strip(plain.replace(SPACES, ' '), undefined, true, true));
}

export const TEXT_FILTERS: Readonly<Record<string, Filter>> = {
  lower: ['', (value) => ofText(value, (text) => text.toLowerCase())],
  upper: ['', (value) => ofText(value, (text) => text.toUpperCase())],
  capitalize: ['', (value) => ofText(value, capitalize)],
  title: ['', (value) => title(str(value))],
  trim: ['chars?', (value, characters) => ofText(value, (text) => strip(text, characters, true, true))],
  center: [
    'width?',
    (value, width) =>
      ofText(value, (text) => padded(text, requireIndex(width === undefined ? 80n : width), ' ', 'both')),
  ],
  string: ['', (value) => (textOf(value) === undefined ? str(value) : value)],
  replace: [
    'old new count?',
    (value, from, to, count) =>
      replace(
        str(value),
        str(from!),
        str(to!),
        count === undefined || count === null ? -1 : requireIndex(count),
      ),
  ],
  indent: ['width? first? blank?', indent],
  truncate: ['length? killwords? end? leeway?', truncate],
  wordwrap: ['width? break_long_words? wrapstring? break_on_hyphens?', wrapped],
  wordcount: ['', (value) => BigInt(str(value).match(/[\p{L}\p{N}_]+/gu)?.length ?? 0)],
  format: {
    all: (_, value, args, kwargs) => {
      if (args.length > 0 && kwargs.size > 0) {
        throw new TemplateError("can't handle positional and keyword arguments at the same time");
      }
      return percentFormat(str(value), kwargs.size > 0 ? new Dict(kwargs) : new Tuple(args));
    },
  },
  e: ['', escaped],
  escape: ['', escaped],
  forceescape: ['', (value) => new Markup(escapeHtml(str(value)))],
  safe: ['', (value) => new Markup(str(value))],
  striptags: ['', stripTags],
  urlencode: ['', urlEncode],
  xmlattr: ['autospace?', xmlAttributes],
};
