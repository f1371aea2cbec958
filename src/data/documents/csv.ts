import { excerpt } from '../../base/errors.js';
import type { Example } from '../examples.js';
import { Chunks } from './bytes.js';
import { contentOf } from './content.js';
import { FILE_START, type Position } from './position.js';
import { Problem } from './problems.js';
import {
  BESIDE_TURNS,
  exampleOfRecord,
  holdsDocuments,
  listed,
  noColumn,
  parseJson,
  RECORD_COLUMNS,
} from './records.js';
import { type Cut, LocatedProblem, type Slice, type Splitter, slicesOf } from './splitter.js';
import { decode, type Opened, type Reader, type ReadOptions, textItems } from './text.js';
import { IDS_COLUMN, isIds } from './tokenIds.js';

/** RFC 4180: a header, commas, fields in quotes may hold commas, line breaks and doubled quotes. */
export const readCsv: Reader = (...given) => readSeparated(',', ...given);

/** The same with tabs. */
export const readTsv: Reader = (...given) => readSeparated('\t', ...given);

type Separator = ',' | '\t';

async function* readSeparated(
  separator: Separator,
  ...[file, start, options]: Parameters<Reader>
): ReturnType<Reader> {
  const isStart = start.byteOffset === 0;
  const header = await readHeader(
    separator,
    isStart ? file : { ...file, chunks: new Chunks(file.chunks.file) },
  );
  if (!header) return;
  const { columns } = header;
  const exampleOf = rowReader(columns, options);
  const content = contentOf(file.chunks, file.compression, start);
  const records = slicesOf(content, new RecordSplitter(separator), start);
  const items = textItems(isStart ? after(records, header.at) : records, start, (text) => {
    const fields = fieldsOf(text, separator);
    if (fields.length === columns.length) return exampleOf(fields);
    throw fieldCount(columns, fields);
  });
  yield* items;
}

/**
 * Every record with all of its fields by name.
 * @throws LocatedProblem for a header with a name twice or none, and at the first record that can't be read
 */
export async function* readCsvRecords(
  separator: Separator,
  { chunks, compression }: Opened,
): AsyncGenerator<{ readonly line: number; readonly value: Record<string, string> }> {
  let columns: readonly string[] | undefined;
  const content = contentOf(chunks, compression, FILE_START);
  for await (const { bytes, at } of slicesOf(content, new RecordSplitter(separator))) {
    try {
      const text = decode(bytes);
      if (!/\S/.test(text)) continue;
      const fields = fieldsOf(text, separator);
      if (columns) yield { line: at.line, value: recordOf(columns, fields) };
      else columns = distinct(fields);
    } catch (error) {
      throw error instanceof Problem ? new LocatedProblem(error, at) : error;
    }
  }
}

function distinct(columns: readonly string[]): readonly string[] {
  const twice = columns.find((name, i) => columns.indexOf(name) !== i);
  if (twice === undefined) return columns;
  throw new Problem(`expected a name for each column, found ${excerpt(twice)} twice; mend the header`);
}

function recordOf(columns: readonly string[], fields: readonly string[]): Record<string, string> {
  if (fields.length !== columns.length) throw fieldCount(columns, fields);
  return Object.fromEntries(columns.map((name, i) => [name, fields[i]!]));
}

const fieldCount = (columns: readonly string[], fields: readonly string[]): Problem =>
  new Problem(
    `expected ${columns.length} fields as in the header, found ${fields.length}; mend or delete the record`,
  );

/** What a row holds, by those of its columns that say so. */
function rowReader(
  columns: readonly string[],
  { textColumn, decodeIds }: ReadOptions,
): (fields: readonly string[]) => Example {
  const has = (name: string) => columns.includes(name);
  const idsColumn = textColumn ?? IDS_COLUMN;
  const ofIds = decodeIds && has(idsColumn) ? idsColumn : undefined;
  const holdsSome = textColumn === undefined ? holdsDocuments(has) : has(textColumn);
  if (!holdsSome && ofIds === undefined) {
    const { message } = noColumn(textColumn, `columns: ${listed(columns)}`);
    throw new Problem(message, { endsFile: true });
  }
  const wanted = textColumn === undefined ? RECORD_COLUMNS : [textColumn, ...BESIDE_TURNS];
  const names = new Set(ofIds === undefined ? wanted : [...wanted, ofIds]);
  const places = Array.from(names)
    .filter(has)
    .map((name) => [name, columns.indexOf(name)] as const);
  return (fields) => {
    const read = (name: string, field: string) => (name === ofIds ? idsOrText(field) : field);
    const record = Object.fromEntries(places.map(([name, at]) => [name, read(name, fields[at]!)]));
    return exampleOfRecord(record, textColumn, decodeIds);
  };
}

/** A list of ids as JSON, or a text. */
function idsOrText(field: string): unknown {
  if (!/^\s*\[/.test(field)) return field;
  const value = parseJson(field);
  return isIds(value) ? value : field;
}

interface Header {
  readonly columns: readonly string[];
  readonly at: Pick<Position, 'byteOffset'>;
}

/** The first record that is not empty. */
async function readHeader(
  separator: Separator,
  { chunks, compression }: Opened,
): Promise<Header | undefined> {
  const records = slicesOf(contentOf(chunks, compression, FILE_START), new RecordSplitter(separator));
  for await (const { bytes, at } of records) {
    const columns = columnsOf(bytes, separator);
    if (columns.some((name) => name.trim() !== '')) return { columns, at };
  }
  return undefined;
}

/** Without them no record can be read. */
function columnsOf(bytes: Buffer, separator: Separator): string[] {
  try {
    return fieldsOf(decode(bytes), separator);
  } catch (error) {
    throw error instanceof Problem ? new Problem(error.message, { endsFile: true }) : error;
  }
}

async function* after(slices: AsyncIterable<Slice>, { byteOffset }: Header['at']): AsyncGenerator<Slice> {
  for await (const slice of slices) if (slice.at.byteOffset > byteOffset) yield slice;
}

const [QUOTE, LINE_FEED, CARRIAGE_RETURN] = [34, 10, 13];

/** Where in a record the splitter is. */
type State = 'field start' | 'plain' | 'quoted' | 'quote in quotes';

/** Finds the line breaks outside of quotes. Quotes count at the start of a field alone, so that a stray one is no trap. */
class RecordSplitter implements Splitter {
  #at = 0;
  #state: State = 'field start';
  readonly #separator: number;

  constructor(separator: Separator) {
    this.#separator = separator.charCodeAt(0);
  }

  next(bytes: Buffer, isEnd: boolean): Cut | undefined {
    for (; this.#at < bytes.length; this.#at++) {
      const byte = bytes[this.#at]!;
      if (byte === LINE_FEED && this.#state !== 'quoted') return this.#cut(bytes, this.#at, this.#at + 1);
      this.#state = this.#after(byte);
      if (this.#state === 'quoted') {
        const quote = bytes.indexOf(QUOTE, this.#at + 1);
        this.#at = (quote < 0 ? bytes.length : quote) - 1;
      }
    }
    if (!isEnd || bytes.length === 0) return undefined;
    if (this.#state === 'quoted') {
      throw new Problem(
        'expected a quote at the end of the field, found the end of the file; mend the quotes',
        {
          endsFile: true,
        },
      );
    }
    return this.#cut(bytes, bytes.length, bytes.length);
  }

  #cut(bytes: Buffer, lineEnd: number, next: number): Cut {
    this.#at = 0;
    this.#state = 'field start';
    const end = lineEnd > 0 && bytes[lineEnd - 1] === CARRIAGE_RETURN ? lineEnd - 1 : lineEnd;
    return { begin: 0, end, next };
  }

  #after(byte: number): State {
    if (this.#state === 'quoted') return byte === QUOTE ? 'quote in quotes' : 'quoted';
    if (this.#state === 'quote in quotes' && byte === QUOTE) return 'quoted';
    if (byte === this.#separator) return 'field start';
    return this.#state === 'field start' && byte === QUOTE ? 'quoted' : 'plain';
  }
}

/** @throws Problem where quotes are not as RFC 4180 has them */
function fieldsOf(record: string, separator: Separator): string[] {
  const fields: string[] = [];
  for (let at = 0; at <= record.length; ) {
    const { field, end } =
      record[at] === '"' ? quotedField(record, at, separator) : plainField(record, at, separator);
    fields.push(field);
    at = end + 1;
  }
  return fields;
}

function plainField(record: string, at: number, separator: Separator): { field: string; end: number } {
  const comma = record.indexOf(separator, at);
  const end = comma < 0 ? record.length : comma;
  const field = record.slice(at, end);
  if (field.includes('"')) {
    throw new Problem(
      'expected quotes around the whole field, found one inside of it; write the field as "...", with "" for a quote',
    );
  }
  return { field, end };
}

function quotedField(record: string, at: number, separator: Separator): { field: string; end: number } {
  let close = record.indexOf('"', at + 1);
  while (close >= 0 && record[close + 1] === '"') close = record.indexOf('"', close + 2);
  const end = close + 1;
  if (close < 0 || (end < record.length && record[end] !== separator)) {
    const expected = separator === ',' ? 'a comma' : 'a tab';
    throw new Problem(`expected ${expected} after the quoted field, found something else; mend the quotes`);
  }
  return { field: record.slice(at + 1, close).replaceAll('""', '"'), end };
}
