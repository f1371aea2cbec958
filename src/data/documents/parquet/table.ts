import { type FileMetaData, parquetSchema } from 'hyparquet';
import { assembleAsync, asyncGroupToRows, readRowGroup } from 'hyparquet/src/rowgroup.js';
import { prepareParquetRead } from 'hyparquet/src/scan.js';
import type { AsyncColumn, GroupPlan } from 'hyparquet/src/types.js';
import type { Chunks } from '../bytes.js';
import { Problem } from '../problems.js';
import { spooled } from '../spool.js';
import type { Opened } from '../text.js';
import { broken } from './encodings.js';
import { readMetadata } from './metadata.js';
import { DECOMPRESSORS } from './pages.js';

/**
 * All rows of a Parquet file as objects, with columns of every type: whole numbers of 64 bits are numbers.
 * @throws Problem when it is damaged, or a whole number is too large
 */
export async function readParquetRecords(file: Opened): Promise<unknown[]> {
  const spool = file.compression === 'none' ? undefined : await spooled(file);
  try {
    const chunks = spool?.chunks ?? file.chunks;
    return (await rowsOf(chunks, await readMetadata(chunks))).map(plain);
  } catch (error) {
    throw isForeign(error) ? broken(`bytes that are none (${(error as Error).message})`) : error;
  } finally {
    await spool?.remove();
  }
}

/**
 * Column by column: hyparquet's own way reads all of them at once, and what fails beside the first failure would end the
 * process as an unhandled rejection.
 */
async function rowsOf({ file }: Chunks, metadata: FileMetaData): Promise<unknown[]> {
  const bytes = {
    byteLength: file.size,
    slice: async (start: number, end = file.size) =>
      Uint8Array.from(await file.read(start, end - start)).buffer,
  };
  const asked = { file: bytes, metadata, compressors: DECOMPRESSORS, geoparquet: false };
  const { options, plan } = await prepareParquetRead(asked);
  const tree = parquetSchema(metadata);
  const rows: unknown[] = [];
  for (const group of plan.groups) {
    const asyncColumns: AsyncColumn[] = [];
    for (const chunk of group.chunks) {
      const [column] = readRowGroup(options, plan, { ...group, chunks: [chunk] }).asyncColumns;
      asyncColumns.push(await whole(column!, group));
    }
    const assembled = assembleAsync({ ...group, asyncColumns }, tree);
    for (const row of await asyncGroupToRows(assembled, 0, group.groupRows, undefined, 'object'))
      rows.push(row);
  }
  return rows;
}

/** A column that has been read, with a value for each row that the file says it has. */
async function whole(column: AsyncColumn, { groupRows }: GroupPlan): Promise<AsyncColumn> {
  const read = await column.data;
  const values = read.data.reduce((sum, { length }) => sum + length, 0);
  if (values !== groupRows) throw broken(`${values} of ${groupRows} rows in a column`);
  return { ...column, data: Promise.resolve(read) };
}

/** What the parser throws of damaged bytes; our own errors say more. */
const isForeign = (error: unknown): boolean =>
  !(error instanceof Problem) && !(error instanceof Error && /^(Input|Run)Error$/.test(error.name));

function plain(value: unknown): unknown {
  if (typeof value === 'bigint') {
    const number = Number(value);
    if (Number.isSafeInteger(number)) return number;
    throw new Problem(`expected whole numbers below 2^53, found ${value}; write it as a text`, {
      endsFile: true,
    });
  }
  if (Array.isArray(value)) return value.map(plain);
  if (ArrayBuffer.isView(value)) return Array.from(value as unknown as Iterable<unknown>, plain);
  if (typeof value !== 'object' || value === null || value instanceof Date) return value;
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, plain(field)]));
}
