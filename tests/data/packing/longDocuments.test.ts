import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Encoded } from '#src/data/examples.js';
import { type LongDocuments, type Packing, RowStream, type RowStreamOptions } from '#src/data/packing.js';
import { inputErrorOf } from '../../inputErrors.js';
import {
  documentsUpTo,
  encode,
  learnedPairsIn,
  learnedPairsOf,
  numbered,
  record,
  sourceOf,
} from './examples.js';

const PACKINGS: readonly Packing[] = ['stream', 'best-fit'];
const OPTIONS: RowStreamOptions = { sequence: 8, blockRows: 3, seed: 3, repeat: false };

const rowsOf = (documents: readonly Encoded[], options: Partial<RowStreamOptions>, limit = 999) =>
  record(new RowStream(sourceOf(documents), encode, { ...OPTIONS, ...options }), limit);

/** Learned from the given token on. */
const from = (length: number, first: number): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => (i >= first ? 1 : 0));

test('text is split and what has a mask is truncated, unless the other is asked for', async () => {
  const documents = numbered([20, 20], [undefined, from(20, 3)]);
  const [text, masked] = documents as [Encoded, Encoded];
  const cases: [LongDocuments | undefined, string[]][] = [
    [undefined, [...learnedPairsOf(text), ...learnedPairsOf(masked, 8)]],
    ['split', [...learnedPairsOf(text), ...learnedPairsOf(masked)]],
    ['truncate', [...learnedPairsOf(text, 8), ...learnedPairsOf(masked, 8)]],
  ];
  for (const packing of PACKINGS) {
    for (const [longDocuments, expected] of cases) {
      const { rows } = await rowsOf(documents, { packing, longDocuments });
      assert.equal(rows.flatMap(learnedPairsIn).toSorted(), expected.toSorted());
    }
  }
});

test('an example whose whole answer is cut off is counted and told, and not trained on', async () => {
  const documents = numbered([6, 20, 20, 5], [undefined, from(20, 9), from(20, 8), from(5, 9)]);
  for (const packing of PACKINGS) {
    const { rows, cursors } = await rowsOf(documents, { packing, longDocuments: 'truncate', blockRows: 9 });
    const expected = [...learnedPairsOf(documents[0]!), ...learnedPairsOf(documents[2]!, 8)];
    assert.equal(rows.flatMap(learnedPairsIn).toSorted(), expected.toSorted());
    assert.equal(
      rows.flatMap(({ skipped = [] }) => skipped),
      [
        'memory:2: expected a learned token within --sequence 8, found the first after 9 tokens; raise --sequence',
        'memory:4: expected a token to learn, found none among 5; leave it out',
      ],
    );
    assert.is(cursors.at(-1)!.skipped, 2);
  }
});

test('in later epochs it is not told again', async () => {
  const documents = numbered([6, 20], [undefined, from(20, 9)]);
  for (const packing of PACKINGS) {
    const { rows, cursors } = await rowsOf(documents, { packing, repeat: true }, 40);
    assert.ok(cursors.at(-1)!.epoch > 2);
    assert.is(rows.flatMap(({ skipped = [] }) => skipped).length, 1);
    assert.is(cursors.at(-1)!.skipped, 1);
  }
});

test('documents without anything to learn are refused where a stream would repeat for ever', async () => {
  const documents = numbered([20, 12], [from(20, 9), from(12, 10)]);
  for (const packing of PACKINGS) {
    const message = await inputErrorOf(() => rowsOf(documents, { packing, repeat: true }));
    assert.match(
      message,
      /^expected a document with something to learn, found none; memory:2: expected a learned/,
    );
    assert.match(message, /raise --sequence$/);
  }
});

test('every row has a label, in either packing', async () => {
  // A prompt of two rows, then the answer.
  const documents = numbered([30, 5], [from(30, 25), undefined]);
  for (const packing of PACKINGS) {
    const { rows } = await rowsOf(documents, { packing, longDocuments: 'split' });
    assert.ok(rows.every((row) => learnedPairsIn(row).length > 0));
    assert.is(rows.flatMap(learnedPairsIn).length, 5 + 4);
    assert.equal(
      rows.flatMap(({ skipped = [] }) => skipped),
      [],
    );
  }
});

test('from any cursor the further rows are the same: packings, long documents, masks, epochs', async () => {
  const options = fc.record({
    packing: fc.constantFrom(...PACKINGS),
    longDocuments: fc.constantFrom<(LongDocuments | undefined)[]>('split', 'truncate', undefined),
    sequence: fc.integer({ min: 1, max: 9 }),
    blockRows: fc.integer({ min: 1, max: 5 }),
    seed: fc.nat(),
    repeat: fc.boolean(),
  });
  let refused = 0;
  const check = async (documents: Encoded[], given: RowStreamOptions) => {
    const streamFrom = (cursor?: RowStream['cursor']) =>
      new RowStream(sourceOf(documents), encode, given, cursor);
    let straight: Awaited<ReturnType<typeof record>>;
    try {
      straight = await record(streamFrom(), 40);
    } catch (error) {
      assert.match((error as Error).message, /something to learn|two tokens or more/);
      refused++;
      return;
    }
    const { rows, cursors } = straight;
    for (let i = 0; i <= rows.length; i += 1 + (i % 3)) {
      const resumed = await record(streamFrom(cursors[i]), rows.length - i);
      assert.equal(resumed.rows, rows.slice(i));
      assert.equal(resumed.cursors, cursors.slice(i));
    }
  };
  await fc.assert(fc.asyncProperty(documentsUpTo(25), options, check), { seed: 6, numRuns: 200 });
  assert.ok(refused < 40, `${refused}`);
});

test.run();
