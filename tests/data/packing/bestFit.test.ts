import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { packBestFit } from '#src/data/packing/bestFit.js';
import { NO_LABEL, RowStream, type RowStreamOptions } from '#src/data/packing.js';
import {
  documentsUpTo,
  encode,
  learnedPairsIn,
  learnedPairsOf,
  numbered,
  piecesIn,
  record,
  sourceOf,
} from './examples.js';

const OPTIONS: RowStreamOptions = {
  ...{ packing: 'best-fit', sequence: 8, blockRows: 4, seed: 3, repeat: false, longDocuments: 'split' },
};

/** The free space of the bins of best fit decreasing as its definition says, in quadratic time. */
function freeSpaces(sizes: readonly number[], capacity: number): number[] {
  const free: number[] = [];
  const order = sizes.map((_, i) => i).sort((a, b) => sizes[b]! - sizes[a]! || a - b);
  for (const i of order) {
    const fitting = free.filter((space) => space >= sizes[i]!);
    if (fitting.length === 0) free.push(capacity - sizes[i]!);
    else free[free.indexOf(Math.min(...fitting))]! -= sizes[i]!;
  }
  return free;
}

test('bins are those of best fit decreasing, and never overfull', () => {
  const sizes = fc.integer({ min: 1, max: 40 }).chain((capacity) =>
    fc.record({
      capacity: fc.constant(capacity),
      sizes: fc.array(fc.integer({ min: 1, max: capacity }), { maxLength: 80 }),
    }),
  );
  fc.assert(
    fc.property(sizes, ({ capacity, sizes }) => {
      const bins = packBestFit(sizes, capacity);
      const free = Array.from({ length: Math.max(-1, ...bins) + 1 }, () => capacity);
      bins.forEach((bin, i) => {
        free[bin]! -= sizes[i]!;
      });
      assert.ok(free.every((space) => space >= 0));
      assert.equal(free.toSorted(), freeSpaces(sizes, capacity).toSorted());
    }),
    { seed: 1, numRuns: 300 },
  );
});

test('a hundred thousand documents take well under a second', () => {
  const sizes = Array.from({ length: 100_000 }, (_, i) => 1 + ((i * 7919) % 255));
  const start = performance.now();
  const bins = packBestFit(sizes, 256);
  assert.ok(performance.now() - start < 5000, 'far from quadratic');
  const total = sizes.reduce((sum, size) => sum + size, 0);
  const count = new Set(bins).size;
  assert.ok(count <= 1.01 * Math.ceil(total / 256), `${count} bins for ${total / 256}`);
});

test('a small block, slot by slot', async () => {
  // Pairs: 5, 3, 8 + 2, 1, 2.
  const documents = numbered([6, 4, 11, 2, 3], []);
  const { rows } = await record(new RowStream(sourceOf(documents), encode, { ...OPTIONS, seed: 0 }), 9);
  const inOrder = rows.toSorted((a, b) => a.tokens[0]! - b.tokens[0]!);
  assert.equal(
    inOrder.map(({ documents: ids, filled }) => [ids.map((id) => id.slice(7)).join(), filled]),
    [
      ['1,2', 8],
      ['3', 8],
      ['3,4,5', 5],
    ],
  );
  const last = inOrder[2]!;
  assert.equal([...last.tokens], [19, 20, 22, 24, 25, 0, 0, 0]);
  assert.equal([...last.labels], [20, 21, 23, 25, 26, NO_LABEL, NO_LABEL, NO_LABEL]);
  assert.equal([...last.positions], [0, 1, 0, 0, 1, 0, 0, 0]);
});

test('each learned pair is there once an epoch, whole documents are never cut, and little room is wasted', async () => {
  const check = async (
    documents: ReturnType<typeof numbered>,
    sequence: number,
    blockRows: number,
    seed: number,
  ) => {
    const options = { ...OPTIONS, sequence, blockRows, seed };
    const { rows, cursors } = await record(new RowStream(sourceOf(documents), encode, options), 999);
    const expected = documents.flatMap((document) => learnedPairsOf(document));
    assert.equal(rows.flatMap(learnedPairsIn).toSorted(), expected.toSorted());
    const lengths = new Map(documents.map(({ tokens }, i) => [`memory:${i + 1}`, tokens.length - 1]));
    for (const row of rows) {
      assert.ok(learnedPairsIn(row).length > 0, 'no row without a label');
      const pieces = piecesIn(row);
      assert.is(pieces.length, row.documents.length);
      assert.ok(row.tokens.subarray(row.filled).every((token) => token === 0));
      assert.ok(row.labels.subarray(row.filled).every((label) => label === NO_LABEL));
      pieces.forEach(({ length }, i) => {
        const pairs = lengths.get(row.documents[i]!)!;
        assert.ok(pairs > sequence || length === pairs, 'a document that fits is whole');
        assert.ok(length === sequence || length === pairs % sequence);
      });
    }
    for (const first of new Set(cursors.map(({ row }) => row))) {
      const block = rows.filter((_, i) => cursors[i]!.row === first);
      const halfEmpty = block.filter(({ filled }) => 2 * filled <= sequence);
      assert.ok(halfEmpty.length <= 1, `${halfEmpty.length} rows of a block are half empty`);
    }
  };
  await fc.assert(
    fc.asyncProperty(
      documentsUpTo(30),
      fc.integer({ min: 1, max: 12 }),
      fc.integer({ min: 1, max: 6 }),
      fc.nat(),
      check,
    ),
    { seed: 2, numRuns: 150 },
  );
});

test('with blocks of a row, documents stay in order and share rows while they fit', async () => {
  const documents = numbered([4, 4, 4, 9, 2, 2], []);
  const { rows } = await record(new RowStream(sourceOf(documents), encode, { ...OPTIONS, blockRows: 1 }), 9);
  assert.equal(
    rows.map(({ documents: ids }) => ids.map((id) => id.slice(7)).join()),
    ['1,2', '3', '4', '5,6'],
  );
});

test('an epoch is over where the documents are, and the next one has other blocks of the same documents', async () => {
  const documents = numbered([6, 4, 11, 2, 3, 9, 5], []);
  const stream = new RowStream(sourceOf(documents), encode, { ...OPTIONS, blockRows: 2, repeat: true });
  const { rows, cursors } = await record(stream, 60);
  const pairs = documents.flatMap((document) => learnedPairsOf(document)).toSorted();
  const counts = new Map<string, number>();
  for (const pair of rows.flatMap(learnedPairsIn)) counts.set(pair, (counts.get(pair) ?? 0) + 1);
  assert.equal([...counts.keys()].toSorted(), pairs);
  const [least, most] = [Math.min(...counts.values()), Math.max(...counts.values())];
  assert.ok(
    most - least <= 2,
    'no document is read more often than others by more than the blocks at the ends',
  );
  assert.ok(cursors.at(-1)!.epoch > 5);
});

test.run();
