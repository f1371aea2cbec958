import { type FileMetaData, parquetMetadata, parquetSchema, type SchemaTree } from 'hyparquet';
import type { Chunks } from '../bytes.js';
import type { Position } from '../position.js';
import { Problem } from '../problems.js';
import { listed, noColumn } from '../records.js';
import { spooled } from '../spool.js';
import { decode, type Item, type Reader } from '../text.js';
import { broken } from './encodings.js';
import { type ColumnChunk, type Page, pagesOf, understood } from './pages.js';
import { checkThrift } from './thrift.js';

/** A text column of a Parquet file, page by page. A resume goes back to the start of a page. */
export const readParquet: Reader = async function* (file, start, { textColumn }) {
  const spool = file.compression === 'none' ? undefined : await spooled(file);
  try {
    const chunks = spool?.chunks ?? file.chunks;
    const metadata = await readMetadata(chunks);
    const { size } = chunks.file;
    for (const column of understood(() => columnChunks(metadata, textColumn ?? 'text', size))) {
      if (start.index >= column.firstRow + column.rows) continue;
      const isHere = start.restart && start.restart.at >= column.start && start.restart.at < column.end;
      for await (const page of pagesOf(chunks, column, isHere ? start.restart : undefined)) {
        yield* items(page, start.index);
      }
    }
  } finally {
    await spool?.remove();
  }
};

function* items({ restart, texts }: Page, from: number): Generator<Item> {
  for (let i = Math.max(0, from - restart.before); i < texts.length; i++) {
    const position: Position = { index: restart.before + i, byteOffset: 0, line: 0, restart };
    const outcome = textOrProblem(texts[i]);
    yield typeof outcome === 'string' ? { position, example: outcome } : { position, problem: outcome };
  }
}

function textOrProblem(bytes: Buffer | undefined): string | Problem {
  if (!bytes) return new Problem('expected a text, found null; leave such rows out');
  try {
    return decode(bytes);
  } catch (error) {
    return error as Problem;
  }
}

const MAGIC = 'PAR1';
const TAIL_BYTES = 8;

async function readMetadata({ file }: Chunks): Promise<FileMetaData> {
  const tail = await file.read(Math.max(0, file.size - TAIL_BYTES), TAIL_BYTES);
  const length = tail.length < TAIL_BYTES ? -1 : tail.readUInt32LE();
  if (tail.toString('latin1', 4) !== MAGIC) {
    const found = tail.toString('latin1', 4) === 'PARE' ? 'an encrypted one' : 'other bytes';
    throw new Problem(
      `expected a Parquet file with ${MAGIC} at its end, found ${found}; is the file cut off? fetch it again`,
      { endsFile: true },
    );
  }
  if (length > file.size - TAIL_BYTES - MAGIC.length) throw broken('metadata larger than the file');
  const footer = await file.read(file.size - TAIL_BYTES - length, length + TAIL_BYTES);
  checkThrift(footer.subarray(0, length));
  return understood(() => parquetMetadata(footer, { geoparquet: false }));
}

/** Where the column is, row group by row group. */
function columnChunks(metadata: FileMetaData, name: string, fileSize: number): ColumnChunk[] {
  const path = pathOf(parquetSchema(metadata), name);
  const { path: wanted } = path.at(-1)!;
  const maxLevel = path.slice(1).filter(({ element }) => element.repetition_type !== 'REQUIRED').length;
  let firstRow = 0;
  return metadata.row_groups.map(({ columns, num_rows }) => {
    const data = columns.find(({ meta_data }) => isSame(meta_data?.path_in_schema, wanted))?.meta_data;
    if (!data) throw broken('a row group without the column');
    const dataAt = Number(data.data_page_offset);
    const start = Math.min(dataAt, Number(data.dictionary_page_offset || dataAt));
    const end = start + Number(data.total_compressed_size);
    const rows = Number(num_rows);
    const isWhole =
      start >= 0 && start <= end && end <= fileSize && rows >= 0 && Number.isSafeInteger(firstRow + rows);
    if (!isWhole) throw broken('a row group beyond the end of the file');
    firstRow += rows;
    return { codec: data.codec, start, end, firstRow: firstRow - rows, rows, maxLevel };
  });
}

const isSame = (a: readonly string[] | undefined, b: readonly string[]): boolean =>
  a?.length === b.length && a.every((part, i) => part === b[i]);

/** The column and what it is nested in, from the root on. */
function pathOf(root: SchemaTree, name: string): SchemaTree[] {
  const found = find(root, name);
  if (!found) {
    const names = root.children.map(({ element }) => element.name);
    throw asFileProblem(noColumn(name, `columns: ${listed(names)}`));
  }
  const { element, children } = found.at(-1)!;
  const isRepeated = found.some((tree) => tree.element.repetition_type === 'REPEATED');
  const isText = element.type === 'BYTE_ARRAY' && TEXT_TYPES.includes(element.converted_type);
  if (children.length === 0 && isText && !isRepeated) return found;
  const type = isRepeated
    ? 'a list'
    : children.length > 0
      ? 'a group'
      : (element.converted_type ?? element.type);
  throw asFileProblem(
    new Problem(`expected a text in column "${name}", found another type (${type}); set --text-column`),
  );
}

const TEXT_TYPES = [undefined, 'UTF8', 'ENUM', 'JSON'];

const asFileProblem = ({ message }: Problem): Problem => new Problem(message, { endsFile: true });

function find(tree: SchemaTree, name: string): SchemaTree[] | undefined {
  if (tree.path.length > 0 && tree.path.join('.') === name) return [tree];
  for (const child of tree.children) {
    const below = find(child, name);
    if (below) return [tree, ...below];
  }
  return undefined;
}
