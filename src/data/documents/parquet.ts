import { type FileMetaData, parquetSchema, type SchemaTree } from 'hyparquet';
import type { Example } from '../examples.js';
import type { Chunks } from './bytes.js';
import { broken } from './parquet/encodings.js';
import { type IdsLeaf, idsIn, idsLeaf } from './parquet/ids.js';
import { readMetadata } from './parquet/metadata.js';
import { isText, type Leaf, type Node, nodeOf } from './parquet/nested.js';
import { type ColumnChunk, type Page, pagesOf, understood } from './parquet/pages.js';
import { entriesOf, rowsOf } from './parquet/rows.js';
import type { Position } from './position.js';
import { Problem } from './problems.js';
import { anotherType, exampleOfRecord, listed, noColumn } from './records.js';
import { spooled } from './spool.js';
import { decode, type Item, type Reader } from './text.js';
import { type DecodeIds, IDS_COLUMN, idsOfNobody } from './tokenIds.js';

/**
 * A text column of a Parquet file, page by page: a resume goes back to the start of a page. Or columns that make a
 * conversation, or a prompt and its completion, or lists of token ids: a resume goes back to the start of a row group.
 */
export const readParquet: Reader = async function* (file, start, { textColumn, decodeIds }) {
  const spool = file.compression === 'none' ? undefined : await spooled(file);
  try {
    const chunks = spool?.chunks ?? file.chunks;
    const metadata = await readMetadata(chunks);
    const { size } = chunks.file;
    const root = understood(() => parquetSchema(metadata));
    const ids = decodeIds && understood(() => idsColumn(root, textColumn ?? IDS_COLUMN));
    const records = ids ? undefined : understood(() => recordColumns(root, textColumn));
    if (ids) yield* idsItems(chunks, metadata, ids, start.index, decodeIds);
    else if (records) yield* recordItems(chunks, metadata, records, start.index, textColumn);
    else
      yield* textColumnItems(
        chunks,
        understood(() => textChunks(metadata, root, textColumn, size)),
        start,
      );
  } finally {
    await spool?.remove();
  }
};

async function* textColumnItems(
  chunks: Chunks,
  columns: readonly ColumnChunk[],
  start: Position,
): AsyncGenerator<Item> {
  for (const column of columns) {
    if (start.index >= column.firstRow + column.rows) continue;
    const isHere = start.restart && start.restart.at >= column.start && start.restart.at < column.end;
    for await (const page of pagesOf(chunks, column, isHere ? start.restart : undefined)) {
      yield* items(page, start.index);
    }
  }
}

interface RecordColumns {
  readonly nodes: readonly Node[];
  readonly leaves: readonly Leaf[];
}

async function* recordItems(
  chunks: Chunks,
  metadata: FileMetaData,
  { nodes, leaves }: RecordColumns,
  from: number,
  textColumn: string | undefined,
): AsyncGenerator<Item> {
  const columns = leaves.map((leaf) => understood(() => columnChunks(metadata, leaf, chunks.file.size)));
  for (const [group, { firstRow, rows }] of columns[0]!.entries()) {
    if (from >= firstRow + rows) continue;
    const ofGroup = columns.map((column) => column[group]!);
    for await (const { number, value } of rowsOf(chunks, ofGroup, nodes, from)) {
      const position: Position = { index: number, byteOffset: 0, line: 0 };
      yield itemOf(position, () => exampleOfRecord(value(), textColumn));
    }
  }
}

/** Of a column of lists of whole numbers. */
function idsColumn(root: SchemaTree, name: string): IdsLeaf | undefined {
  const path = find(root, name);
  return path && idsLeaf(path);
}

async function* idsItems(
  chunks: Chunks,
  metadata: FileMetaData,
  leaf: IdsLeaf,
  from: number,
  decodeIds: DecodeIds,
): AsyncGenerator<Item> {
  for (const column of understood(() => columnChunks(metadata, leaf, chunks.file.size))) {
    if (from >= column.firstRow + column.rows) continue;
    let index = column.firstRow;
    for await (const entries of entriesOf(chunks, column)) {
      if (index >= from) {
        yield itemOf({ index, byteOffset: 0, line: 0 }, () => decodeIds(idsIn(entries, leaf)));
      }
      index++;
    }
  }
}

function itemOf(position: Position, read: () => Example): Item {
  const outcome = outcomeOf(read);
  return outcome instanceof Problem ? { position, problem: outcome } : { position, example: outcome };
}

function outcomeOf(read: () => Example): Example | Problem {
  try {
    return read();
  } catch (error) {
    if (error instanceof Problem && !error.endsFile) return error;
    throw error;
  }
}

/** The columns of conversations or prompts with completions; undefined where there is text instead. */
function recordColumns(root: SchemaTree, textColumn: string | undefined): RecordColumns | undefined {
  const named = (name: string) => root.children.find(({ element }) => element.name === name);
  const holdsLists = (tree: SchemaTree): boolean =>
    tree.element.repetition_type === 'REPEATED' || tree.children.some(holdsLists);
  const leaves: Leaf[] = [];
  const nodesOf = (...trees: (SchemaTree | undefined)[]) => {
    const nodes = trees.flatMap((tree) => (tree && nodeOf(tree, { level: 0, repetition: 0 }, leaves)) ?? []);
    return nodes.length > 0 ? { nodes, leaves } : undefined;
  };
  if (textColumn !== undefined) {
    const found = find(root, textColumn);
    return found && holdsLists(found.at(-1)!) && !found.slice(0, -1).some(isRepeated)
      ? nodesOf(withOnly(found))
      : undefined;
  }
  const [messages, shared, prompt, completion] = ['messages', 'conversations', 'prompt', 'completion'].map(
    named,
  );
  if (messages && (holdsLists(messages) || !named('text'))) return nodesOf(messages, named('tools'));
  if (shared && holdsLists(shared)) return nodesOf(shared, named('system'), named('tools'));
  return prompt && completion ? nodesOf(prompt, completion, named('tools')) : undefined;
}

const isRepeated = ({ element }: SchemaTree): boolean => element.repetition_type === 'REPEATED';

/** The first below the root of a path, with nothing beside the path. */
const withOnly = ([, ...path]: readonly SchemaTree[]): SchemaTree =>
  path.reduceRight((below, tree) => ({ ...tree, children: [below] }));

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

function textChunks(
  metadata: FileMetaData,
  root: SchemaTree,
  name: string | undefined,
  fileSize: number,
): ColumnChunk[] {
  const path = pathOf(root, name);
  const level = path.slice(1).filter(({ element }) => element.repetition_type !== 'REQUIRED').length;
  return columnChunks(metadata, { path: path.at(-1)!.path, level, repetition: 0 }, fileSize);
}

/** Where the column is, row group by row group. */
function columnChunks(metadata: FileMetaData, leaf: Leaf, fileSize: number): ColumnChunk[] {
  const { path: wanted, level: maxLevel, repetition: maxRepetition, valueBytes } = leaf;
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
    const values = maxRepetition > 0 ? Number(data.num_values) : rows;
    if (!Number.isSafeInteger(values) || values < rows) throw broken(`${values} values in ${rows} rows`);
    firstRow += rows;
    const row = { firstRow: firstRow - rows, rows, values };
    return { codec: data.codec, start, end, ...row, maxLevel, maxRepetition, valueBytes };
  });
}

const isSame = (a: readonly string[] | undefined, b: readonly string[]): boolean =>
  a?.length === b.length && a.every((part, i) => part === b[i]);

/** The column and what it is nested in, from the root on. */
function pathOf(root: SchemaTree, name: string | undefined): SchemaTree[] {
  const found = find(root, name ?? 'text');
  const isColumnOfIds = (!found || name !== undefined) && idsColumn(root, name ?? IDS_COLUMN);
  if (isColumnOfIds) throw asFileProblem(idsOfNobody(name));
  if (!found) {
    const names = root.children.map(({ element }) => element.name);
    throw asFileProblem(noColumn(name, `columns: ${listed(names)}`));
  }
  const last = found.at(-1)!;
  const isNested = found.some(isRepeated);
  if (isText(last) && !isNested) return found;
  const { element, children } = last;
  const type = isNested
    ? 'a list'
    : children.length > 0
      ? 'a group'
      : (element.converted_type ?? element.type);
  throw asFileProblem(anotherType(name ?? 'text', String(type)));
}

const asFileProblem = ({ message }: Problem): Problem => new Problem(message, { endsFile: true });

function find(tree: SchemaTree, name: string): SchemaTree[] | undefined {
  if (tree.path.length > 0 && tree.path.join('.') === name) return [tree];
  for (const child of tree.children) {
    const below = find(child, name);
    if (below) return [tree, ...below];
  }
  return undefined;
}
