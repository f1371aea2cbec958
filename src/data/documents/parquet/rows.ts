import { Chunks } from '../bytes.js';
import { broken } from './encodings.js';
import { assembled, type Entry, type Node } from './nested.js';
import { type ColumnChunk, pagesOf } from './pages.js';

/** Beyond it, a row's lists are thought to be damaged. */
const MOST_ENTRIES = 2 ** 20;

/** The entries of a column, row by row; in memory are a page and a row. */
export async function* entriesOf(chunks: Chunks, column: ColumnChunk): AsyncGenerator<Entry[]> {
  let row: Entry[] = [];
  let rows = 0;
  for await (const { texts, levels, repetitions } of pagesOf(chunks, column, undefined)) {
    for (const [i, text] of texts.entries()) {
      const repetition = repetitions?.[i] ?? 0;
      if (repetition === 0 && row.length > 0) {
        yield row;
        row = [];
        rows++;
      }
      if (row.length === MOST_ENTRIES) throw broken(`more than ${MOST_ENTRIES} values in a row`);
      row.push({ text, level: levels?.[i] ?? column.maxLevel, repetition });
    }
  }
  if (row.length > 0) {
    yield row;
    rows++;
  }
  if (rows !== column.rows) throw broken(`${rows} of ${column.rows} rows in a column`);
}

/**
 * Rows of a row group as objects, from row `from` of the file on. Columns are read side by side, each by its own pages.
 * @param columns by the numbers of the leaves
 * @returns functions that give the objects, or throw a Problem
 */
export async function* rowsOf(
  chunks: Chunks,
  columns: readonly ColumnChunk[],
  nodes: readonly Node[],
  from: number,
): AsyncGenerator<{ readonly number: number; readonly value: () => Record<string, unknown> }> {
  const [{ firstRow, rows }] = columns as [ColumnChunk];
  const readers = columns.map((column) => entriesOf(new Chunks(chunks.file), column));
  try {
    for (let number = firstRow; number < firstRow + rows; number++) {
      const entries: Entry[][] = [];
      for (const reader of readers) {
        const { done, value } = await reader.next();
        if (done) throw broken('columns of different lengths');
        entries.push(value);
      }
      if (number < from) continue;
      const value = () =>
        Object.fromEntries(
          nodes
            .map((node) => [node.name, assembled(node, entries)] as const)
            .filter(([, v]) => v !== undefined),
        );
      yield { number, value };
    }
    // Only now do the columns say whether they end here.
    for (const reader of readers)
      if (!(await reader.next()).done) throw broken('columns of different lengths');
  } finally {
    for (const reader of readers) await reader.return(undefined);
  }
}
