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
import {
  anotherType,
  BESIDE_TURNS,
  exampleOfRecord,
  holdsRecords,
  listed,
  noColumn,
  RECORD_COLUMNS,
} from './records.js';
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
        textColumn,
      );
  } finally {
    await spool?.remove();
  }
};

async function* textColumnItems(
  chunks: Chunks,
  columns: readonly ColumnChunk[],
  start: Position,
  textColumn: string | undefined,
): AsyncGenerator<Item> {
  for (const column of columns) {
    if (start.index >= column.firstRow + column.rows) continue;
    const isHere = start.restart && start.restart.at >= column.start && start.restart.at < column.end;
    for await (const page of pagesOf(chunks, column, isHere ? start.restart : undefined)) {
      yield* items(page, start.index, textColumn);
    }
  }
}

interface RecordColumns {
  readonly nodes: readonly Node[];
  readonly leaves: readonly Leaf[];
  /** Why what goes with turns can't be read. */
  readonly problem: Problem | undefined;
}

async function* recordItems(
  chunks: Chunks,
  metadata: FileMetaData,
  { nodes, leaves, problem }: RecordColumns,
  from: number,
  textColumn: string | undefined,
): AsyncGenerator<Item> {
  const columns = leaves.map((leaf) => understood(() => columnChunks(metadata, leaf, chunks.file.size)));
  for (const [group, { firstRow, rows }] of columns[0]!.entries()) {
    if (from >= firstRow + rows) continue;
    const ofGroup = columns.map((column) => column[group]!);
    for await (const { number, value } of rowsOf(chunks, ofGroup, nodes, from)) {
      const position: Position = { index: number, byteOffset: 0, line: 0 };
      yield itemOf(position, () => {
        const example = exampleOfRecord(value(), textColumn);
        if (problem && typeof example === 'object' && 'messages' in example) throw problem;
        return example;
      });
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

/** The columns that records are made of; undefined where one column of text is all. */
function recordColumns(root: SchemaTree, textColumn: string | undefined): RecordColumns | undefined {
  const named = (name: string) => root.children.find(({ element }) => element.name === name);
  const those = (names: readonly string[]) => names.flatMap((name) => named(name) ?? []);
  if (textColumn === undefined) {
    return holdsRecords((name) => named(name) !== undefined) ? columnsIn(those(RECORD_COLUMNS)) : undefined;
  }
  const found = find(root, textColumn);
  if (!found || found.slice(0, -1).some(isRepeated)) return undefined;
  const beside = those(BESIDE_TURNS).filter((tree) => tree !== found[1]);
  const last = found.at(-1)!;
  // A text may be messages as JSON.
  if (!holdsLists(last) && !(isText(last) && beside.length > 0)) return undefined;
  return columnsIn([withOnly(found), ...beside]);
}

/** What is wrong with what goes with turns counts once there are turns. */
function columnsIn(trees: readonly SchemaTree[]): RecordColumns | undefined {
  const nodes: Node[] = [];
  let leaves: readonly Leaf[] = [];
  let problem: Problem | undefined;
  for (const tree of trees) {
    const more = [...leaves];
    try {
      const node = nodeOf(tree, { level: 0, repetition: 0 }, more);
      if (node) nodes.push(node);
      leaves = more;
    } catch (error) {
      if (!(error instanceof Problem) || !BESIDE_TURNS.includes(tree.element.name)) throw error;
      problem = error;
    }
  }
  return nodes.length > 0 ? { nodes, leaves, problem } : undefined;
}

const holdsLists = (tree: SchemaTree): boolean => isRepeated(tree) || tree.children.some(holdsLists);

const isRepeated = ({ element }: SchemaTree): boolean => element.repetition_type === 'REPEATED';

/** The first below the root of a path, with nothing beside the path. */
const withOnly = ([, ...path]: readonly SchemaTree[]): SchemaTree =>
  path.reduceRight((below, tree) => ({ ...tree, children: [below] }));

function* items({ restart, texts }: Page, from: number, name: string | undefined): Generator<Item> {
  for (let i = Math.max(0, from - restart.before); i < texts.length; i++) {
    const position: Position = { index: restart.before + i, byteOffset: 0, line: 0, restart };
    yield itemOf(position, () => exampleOfText(texts[i], name));
  }
}

/** @param name of a column that was named, which may hold messages */
function exampleOfText(bytes: Buffer | undefined, name: string | undefined): Example {
  if (!bytes) throw new Problem('expected a text, found null; leave such rows out');
  const text = decode(bytes);
  return name === undefined ? text : exampleOfRecord({ [name]: text }, name);
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
