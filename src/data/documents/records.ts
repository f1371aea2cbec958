import type { Example } from '../examples.js';
import { conversationOf, toolsOf } from './conversations.js';
import { Problem } from './problems.js';

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
export const exampleOfJson = (json: string, column: string | undefined): Example =>
  exampleOfRecord(parse(json), column);

/**
 * What a record holds. Of `column`, a text or the messages of a conversation; a field named like the whole column wins
 * over the fields nested in one another that `a.b` stands for. Without it, the first that is there of `messages` (and
 * `tools`), `prompt` and `completion` (texts, or lists of messages that make one conversation), and `text`.
 * @throws Problem
 */
export function exampleOfRecord(record: unknown, column: string | undefined): Example {
  if (column === undefined) return detected(record);
  return exampleOf(valueAt(record, [column]) ?? valueAt(record, column.split('.')), column, record);
}

function detected(record: unknown): Example {
  const [messages, prompt, completion] = ['messages', 'prompt', 'completion'].map((name) =>
    valueAt(record, [name]),
  );
  const tools = () => toolsOf(valueAt(record, ['tools']));
  if (Array.isArray(messages)) return conversationOf(messages, tools());
  if (Array.isArray(prompt) && Array.isArray(completion)) {
    return { ...conversationOf([...prompt, ...completion], tools()), given: prompt.length };
  }
  if (typeof prompt === 'string' && typeof completion === 'string') return { prompt, completion };
  const text = valueAt(record, ['text']);
  if (text === undefined) throw noColumn(undefined, keysOf(record));
  if (Array.isArray(text)) throw anotherType('text', 'a list');
  return exampleOf(text, 'text', record);
}

function exampleOf(value: unknown, column: string, record: unknown): Example {
  if (typeof value === 'string') return value;
  if (Array.isArray(value)) return conversationOf(value, toolsOf(valueAt(record, ['tools'])));
  if (value === undefined) throw noColumn(column, keysOf(record));
  throw anotherType(column, value === null ? 'null' : typeof value);
}

/** A column that is there, and can't be read. */
export const anotherType = (column: string, type: string): Problem =>
  new Problem(
    `expected a text or messages in column "${column}", found a value of another type (${type}); set --text-column`,
  );

function parse(json: string): unknown {
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
