import { TemplateError } from './errors.js';
import { spend } from './limits.js';
import { floatText, intText } from './printing.js';
import { sorted } from './sequences.js';
import { Dict, Tuple, textOf, typeName, type Value } from './values.js';

export interface JsonOptions {
  readonly isAscii: boolean;
  /** What a level is indented by; undefined: all on one line. */
  readonly indent: string | undefined;
  readonly separators: readonly [item: string, key: string];
  readonly sortKeys: boolean;
}

const ESCAPES: Readonly<Record<string, string>> = {
  '"': '\\"',
  '\\': '\\\\',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\b': '\\b',
  '\f': '\\f',
};
const hex = (unit: string): string => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;

/** json.dumps of a text. */
function jsonText(text: string, isAscii: boolean): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: those are what JSON escapes
  const escaped = text.replace(/["\\\x00-\x1f]/g, (character) => ESCAPES[character] ?? hex(character));
  return `"${isAscii ? escaped.replace(/[\x7f-\uffff]/g, hex) : escaped}"`;
}

function jsonFloat(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value < 0 ? '-Infinity' : 'Infinity';
  return floatText(value);
}

/** json.dumps @throws TemplateError for values that have no JSON */
export function toJson(value: Value, options: JsonOptions, level = 0): string {
  spend();
  const text = textOf(value);
  if (text !== undefined) return jsonText(text, options.isAscii);
  if (value === null) return 'null';
  if (typeof value === 'boolean') return String(value);
  if (typeof value === 'bigint') return intText(value);
  if (typeof value === 'number') return jsonFloat(value);
  if (Array.isArray(value)) return jsonList(value, options, level);
  if (value instanceof Tuple) return jsonList(value.items, options, level);
  if (value instanceof Dict) return jsonDict(value, options, level);
  throw new TemplateError(`Object of type ${typeName(value)} is not JSON serializable`);
}

function jsonList(items: readonly Value[], options: JsonOptions, level: number): string {
  return enclosed(
    '[]',
    items.map((item) => toJson(item, options, level + 1)),
    options,
    level,
  );
}

function jsonDict(dict: Dict, options: JsonOptions, level: number): string {
  const entries = [...dict.entries()];
  const inOrder = options.sortKeys ? sorted(entries, ([key]) => key) : entries;
  const parts = inOrder.map(
    ([key, value]) =>
      jsonText(keyText(key), options.isAscii) + options.separators[1] + toJson(value, options, level + 1),
  );
  return enclosed('{}', parts, options, level);
}

function keyText(key: Value): string {
  const text = textOf(key);
  if (text !== undefined) return text;
  if (key === null || typeof key === 'boolean') return String(key);
  if (typeof key === 'bigint') return intText(key);
  if (typeof key === 'number') return jsonFloat(key);
  throw new TemplateError(`keys must be str, int, float, bool or None, not ${typeName(key)}`);
}

function enclosed(brackets: string, parts: readonly string[], options: JsonOptions, level: number): string {
  const [open, close] = brackets as unknown as [string, string];
  if (parts.length === 0) return brackets;
  const { indent, separators } = options;
  if (indent === undefined) return open + parts.join(separators[0]) + close;
  const inside = `\n${indent.repeat(level + 1)}`;
  return `${open + inside + parts.join(separators[0] + inside)}\n${indent.repeat(level)}${close}`;
}
