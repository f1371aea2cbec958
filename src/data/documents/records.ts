import { excerpt } from '../../base/errors.js';
import type { Conversation, Example } from '../examples.js';
import { conversationOf, toolsOf } from './conversations.js';
import { parseExactly } from './exactJson.js';
import { Problem } from './problems.js';
import { type DecodeIds, IDS_COLUMN, idsOfNobody, isIds } from './tokenIds.js';

/** Columns that a message lists. */
const LISTED = 10;

/** `column` among those that are there, in words. */
export const listed = (columns: readonly string[]): string =>
  columns.length === 0
    ? 'none'
    : columns.slice(0, LISTED).join(', ') + (columns.length > LISTED ? ', ...' : '');

/** A missing column. @param column undefined where the columns decide */
export const noColumn = (column: string | undefined, found: string): Problem =>
  column === undefined
    ? new Problem(
        `expected messages, prompt and completion, or text, found none (${found}); set --text-column`,
      )
    : new Problem(
        `expected a text or messages in column "${column}", found none (${found}); set --text-column`,
      );

/** @throws Problem */
export function exampleOfJson(json: string, column: string | undefined, decodeIds?: DecodeIds): Example {
  const record = parseJson(json);
  const example = exampleOfRecord(record, column, decodeIds);
  if (typeof example === 'string' || !('messages' in example)) return example;
  // Of texts nothing is lost.
  const exact = parseExactly(json, record);
  return exact === record ? example : exampleOfRecord(exact, column);
}

/**
 * What a record holds. Of `column`, a text or the messages of a conversation; a field named like the whole column wins
 * over the fields nested in one another that `a.b` stands for. Without it, the first that is there of `messages` or
 * `conversations` (and `tools`), `prompt` and `completion` (texts, or a list of messages and what is said to it, which
 * make one conversation), and `text`. Messages may be JSON in a text.
 * @param decodeIds reads a list of token ids, of `column` or else of `input_ids`, which then goes before all others
 * @throws Problem
 */
export function exampleOfRecord(record: unknown, column: string | undefined, decodeIds?: DecodeIds): Example {
  const value =
    column === undefined
      ? valueAt(record, [IDS_COLUMN])
      : (valueAt(record, [column]) ?? valueAt(record, column.split('.')));
  if (decodeIds && isIds(value)) return decodeIds(value);
  return column === undefined ? detected(record) : exampleIn(value, column, record);
}

/** Columns that hold turns. */
const TURNS = ['messages', 'conversations'];
/** Columns with what goes with turns. */
export const BESIDE_TURNS = ['system', 'tools'];
const FIELDS = [...TURNS, 'prompt', 'completion', 'text'];

/** Those of a record's columns that say what it holds. */
export const RECORD_COLUMNS = [...FIELDS, ...BESIDE_TURNS];

/** Whether records with such columns hold something. */
export const holdsDocuments = (has: (column: string) => boolean): boolean => holdsRecords(has) || has('text');

/** Whether several of such columns have a say in what a record holds. */
export const holdsRecords = (has: (column: string) => boolean): boolean =>
  TURNS.some(has) || (has('prompt') && has('completion'));

function detected(record: unknown): Example {
  const [messages, shared, prompt, completion, text] = FIELDS.map((name) => valueAt(record, [name]));
  for (const [i, value] of [messages, shared].entries()) {
    const turns = listIn(value);
    if (turns) return conversation(turns, TURNS[i]!, record);
  }
  if (Array.isArray(prompt)) {
    const said = saidIn(completion);
    if (said) return { ...conversationOf([...prompt, ...said], toolsIn(record)), given: prompt.length };
  }
  if (typeof prompt === 'string' && typeof completion === 'string') return { prompt, completion };
  if (isThere(prompt) && isThere(completion)) throw mixed(prompt, completion);
  if (typeof text === 'string') return text;
  if (text !== undefined) throw anotherType('text', Array.isArray(text) ? 'a list' : typeOf(text));
  const wrong = [messages, shared].find(isThere);
  if (wrong !== undefined) throw noTurns(wrong);
  throw isIds(valueAt(record, [IDS_COLUMN])) ? idsOfNobody() : noColumn(undefined, keysOf(record));
}

const isThere = (value: unknown): boolean => value !== undefined && value !== null;

const noTurns = (found: unknown): Problem =>
  new Problem(
    `expected messages in a list, or as JSON in a text, found ${excerpt(found)}; mend the record, or set --text-column`,
  );

/** What a column that was named holds. */
function exampleIn(value: unknown, column: string, record: unknown): Example {
  if (isIds(value) && typeof value[0] === 'number') throw idsOfNobody(column);
  const name = column.slice(column.lastIndexOf('.') + 1);
  const turns = TURNS.includes(name) || Array.isArray(value) ? listIn(value) : turnsIn(value);
  if (turns) return conversation(turns, name, record);
  if (typeof value === 'string') return value;
  if (value === undefined) throw noColumn(column, keysOf(record));
  throw anotherType(column, typeOf(value));
}

const typeOf = (value: unknown): string => (value === null ? 'null' : typeof value);

function conversation(turns: readonly unknown[], name: string, record: unknown): Conversation {
  return conversationOf([...systemOf(record, turns, name), ...turns], toolsIn(record));
}

const toolsIn = (record: unknown) => toolsOf(valueAt(record, ['tools']));

/** A list, or one as JSON in a text. */
function listIn(value: unknown): readonly unknown[] | undefined {
  if (typeof value !== 'string' || !/^\s*\[/.test(value)) return Array.isArray(value) ? value : undefined;
  const list = parseExactly(value, parseJson(value));
  return Array.isArray(list) ? list : undefined;
}

/** The turns that are all of a text, as JSON. Any other text is one, JSON that holds something else too. */
function turnsIn(value: unknown): readonly unknown[] | undefined {
  if (typeof value !== 'string' || !/^\s*\[\s*\{/.test(value)) return undefined;
  try {
    const list: unknown = JSON.parse(value);
    const areTurns = Array.isArray(list) && list.every(isTurn);
    return areTurns ? (parseExactly(value, list) as readonly unknown[]) : undefined;
  } catch {
    return undefined;
  }
}

function isTurn(value: unknown): boolean {
  const [role, content, calls] = ['role', 'content', 'tool_calls'].map((name) => valueAt(value, [name]));
  if (typeof role === 'string') return content !== undefined || calls !== undefined;
  return isShared(value) && valueAt(value, ['value']) !== undefined;
}

/** Of ShareGPT's form. */
const isShared = (turn: unknown): boolean =>
  valueAt(turn, ['role']) === undefined && typeof valueAt(turn, ['from']) === 'string';

/** What is said to a prompt of messages: messages, or what the assistant says. */
function saidIn(completion: unknown): readonly unknown[] | undefined {
  if (typeof completion === 'string') return [{ role: 'assistant', content: completion }];
  return Array.isArray(completion) ? completion : undefined;
}

const mixed = (prompt: unknown, completion: unknown): Problem =>
  new Problem(
    `expected a prompt and a completion that are texts, or a prompt of messages, found ${excerpt(prompt)} and ` +
      `${excerpt(completion)}; write both as lists of messages with role and content`,
  );

/** The field `system` that stands beside turns with from and value, or beside `conversations`. */
function systemOf(record: unknown, turns: readonly unknown[], name: string): readonly unknown[] {
  const system = valueAt(record, ['system']);
  const begins = (turn: unknown) => ['from', 'role'].some((field) => valueAt(turn, [field]) === 'system');
  if (typeof system !== 'string' || system === '' || begins(turns[0])) return [];
  if (name !== 'conversations' && !turns.some(isShared)) return [];
  return [{ role: 'system', content: system }];
}

/** A column that is there, and can't be read. */
export const anotherType = (column: string, type: string): Problem =>
  new Problem(
    `expected a text or messages in column "${column}", found a value of another type (${type}); set --text-column`,
  );

/** @throws Problem */
export function parseJson(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch (error) {
    const { message } = error as Error;
    throw new Problem(`expected JSON, found ${message.slice(0, 200)}; mend or delete the record`);
  }
}

function valueAt(record: unknown, path: readonly string[]): unknown {
  let value = record;
  for (const key of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
    value = (value as Record<string, unknown>)[key];
  }
  return value;
}

function keysOf(record: unknown): string {
  if (typeof record !== 'object' || record === null || Array.isArray(record)) {
    return 'the record is not an object';
  }
  return `columns: ${listed(Object.keys(record))}`;
}
