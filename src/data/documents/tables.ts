import { excerpt, InputError } from '../../base/errors.js';
import { Chunks } from './bytes.js';
import { contentOf } from './content.js';
import { readCsvRecords } from './csv.js';
import type { SourceFile } from './files.js';
import { FILE_START } from './position.js';
import { Problem } from './problems.js';
import { LocatedProblem, SeparatorSplitter, slicesOf } from './splitter.js';
import { decode, type Opened } from './text.js';

/** A record of a table. */
export interface TableRow {
  /** Its fields by name; of CSV all are texts. */
  readonly value: unknown;
  /** File and line or row, as messages name it. */
  readonly place: string;
}

/** A record and its line, or its row. */
interface Located {
  readonly value: unknown;
  readonly at: string;
}

/**
 * All records of a .jsonl, .ndjson, .csv, .tsv or .parquet file, with all of their fields. They are in memory together: it is
 * meant for tables of some ten thousand rows.
 * @throws InputError with path and line at the first record that can't be read, and for other kinds of files; RunError when
 * a server fails
 */
export async function readTable({ bytes, compression, name }: SourceFile): Promise<TableRow[]> {
  const reader = READERS[name];
  if (!reader) {
    const known = Object.keys(READERS).join(', .');
    throw new InputError(
      `${bytes.name}: expected a table in .${known}, found a file in .${name}; convert it`,
    );
  }
  const rows: TableRow[] = [];
  try {
    const file = { chunks: new Chunks(bytes), compression };
    for await (const { value, at } of reader(file)) rows.push({ value, place: `${bytes.name}${at}` });
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    const line = error instanceof LocatedProblem ? `:${error.line}` : '';
    throw new InputError(`${bytes.name}${line}: ${error.message}`);
  }
  return rows;
}

type TableReader = (file: Opened) => AsyncGenerator<Located>;

const READERS: Partial<Record<SourceFile['name'], TableReader>> = {
  jsonl: readJsonRecords,
  ndjson: readJsonRecords,
  csv: (file) => located(readCsvRecords(',', file)),
  tsv: (file) => located(readCsvRecords('\t', file)),
  async *parquet(file) {
    const { readParquetRecords } = await import('./parquet/table.js');
    let row = 0;
    for (const value of await readParquetRecords(file)) yield { value, at: `[${row++}]` };
  },
};

async function* located(
  records: AsyncIterable<{ readonly line: number; readonly value: unknown }>,
): AsyncGenerator<Located> {
  for await (const { line, value } of records) yield { value, at: `:${line}` };
}

async function* readJsonRecords({ chunks, compression }: Opened): AsyncGenerator<Located> {
  const content = contentOf(chunks, compression, FILE_START);
  for await (const { bytes, at } of slicesOf(content, new SeparatorSplitter(['\n']))) {
    try {
      const text = decode(bytes);
      if (/\S/.test(text)) yield { value: parsed(text), at: `:${at.line}` };
    } catch (error) {
      throw error instanceof Problem ? new LocatedProblem(error, at) : error;
    }
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Problem(`expected a JSON object on the line, found ${excerpt(text)}; mend the line`);
  }
}
