import { Problem } from './problems.js';

/** Columns that a message lists. */
const LISTED = 10;

/** `column` among those that are there, in words. */
export const listed = (columns: readonly string[]): string =>
  columns.length === 0
    ? 'none'
    : columns.slice(0, LISTED).join(', ') + (columns.length > LISTED ? ', ...' : '');

/** A missing column. */
export const noColumn = (column: string, found: string): Problem =>
  new Problem(`expected a text in column "${column}", found none (${found}); set --text-column`);

/**
 * The text of a JSON record. A field named like the whole column wins over the fields nested in one another that `a.b`
 * stands for.
 * @throws Problem
 */
export function textOfRecord(json: string, column: string): string {
  const record = parse(json);
  const value = valueAt(record, [column]) ?? valueAt(record, column.split('.'));
  if (typeof value === 'string') return value;
  if (value === undefined) throw noColumn(column, keysOf(record));
  const type = value === null ? 'null' : Array.isArray(value) ? 'a list' : typeof value;
  throw new Problem(
    `expected a text in column "${column}", found a value of another type (${type}); set --text-column`,
  );
}

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
