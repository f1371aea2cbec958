import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { BestFitCounter } from '#src/data/packing/bestFit.js';
import { NO_LABEL, packingOf, type Row, type RowStreamOptions } from '#src/data/packing.js';
import { inputErrorOf } from '../../inputErrors.js';
import {
  documents,
  encodedExamples,
  type MadeExample,
  options,
  pairsIn,
  piecesIn,
  record,
  sourceOf,
  streamOf,
} from './memory.js';

/** What holds for both packings, with masks, bad documents and long ones. */

type Options = Omit<RowStreamOptions, 'repeat'>;

const isRight = (items: readonly MadeExample[]) => items.filter((item) => typeof item !== 'string');

/** The learned pairs that a stream has to give in an epoch, as the definition has them. */
function expectedPairs(items: readonly MadeExample[], { sequence, longDocuments }: Options): string[] {
  return isRight(items).flatMap(({ tokens, learned }) => {
    const isTruncated = (longDocuments ?? (learned ? 'truncate' : 'split')) === 'truncate';
    const pairs = Math.max(0, tokens.length - 1);
    const count = isTruncated ? Math.min(pairs, sequence) : pairs;
    return Array.from({ length: count }, (_, i) => i)
      .filter((i) => learned?.[i + 1] !== 0)
      .map((i) => `${tokens[i]}>${tokens[i + 1]}`);
  });
}

function assertSound(row: Row): void {
  assert.ok(row.filled > 0 && row.filled <= row.tokens.length);
  assert.ok(
    row.labels.some((label) => label !== NO_LABEL),
    'a row without a label',
  );
  for (let t = 0; t < row.tokens.length; t++) {
    if (t >= row.filled) {
      assert.equal([row.tokens[t], row.labels[t], row.positions[t]], [0, NO_LABEL, 0]);
      continue;
    }
    assert.is.not(row.tokens[t], 0);
    if (row.positions[t] === 0) continue;
    assert.is(row.positions[t], row.positions[t - 1]! + 1);
    assert.is(row.tokens[t], row.tokens[t - 1]! + 1);
  }
}

test('every learned pair once in an epoch, in sound rows', async () => {
  const check = async (items: MadeExample[], options: Options) => {
    const { rows } = await record(streamOf(items, { ...options, repeat: false }));
    for (const row of rows) assertSound(row);
    assert.equal(rows.flatMap(pairsIn).sort(), expectedPairs(items, options).sort());
    if (options.packing === 'stream') {
      const padded = rows.filter(({ filled, tokens }) => filled < tokens.length);
      assert.ok(padded.length <= 1);
    }
  };
  await fc.assert(fc.asyncProperty(documents, options, check), { seed: 1, numRuns: 300 });
});

test('the same pairs epoch after epoch', async () => {
  const check = async (items: MadeExample[], options: Options) => {
    const expected = expectedPairs(items, options);
    if (expected.length === 0) return;
    const stream = streamOf(items, { ...options, repeat: true });
    const counts = new Map<string, number>(expected.map((pair) => [pair, 0]));
    let cursor = stream.cursor;
    // Epochs end inside of blocks: whole ones are counted up to the rows of the next one.
    while (cursor.epoch < 3 || cursor.emitted > 0) {
      for (const pair of pairsIn((await stream.next())!)) counts.set(pair, counts.get(pair)! + 1);
      cursor = stream.cursor;
    }
    assert.ok([...counts.values()].every((count) => count === cursor.epoch || count === cursor.epoch + 1));
    assert.is(counts.size, expected.length);
  };
  await fc.assert(fc.asyncProperty(documents, options, check), { seed: 2, numRuns: 100 });
});

test('from any cursor the further rows and cursors are the same', async () => {
  const check = async (items: MadeExample[], some: Options, repeat: boolean) => {
    if (repeat && expectedPairs(items, some).length === 0) return;
    const options = { ...some, repeat };
    const { rows, cursors } = await record(streamOf(items, options), 40);
    for (const [i, cursor] of cursors.entries()) {
      const resumed = await record(streamOf(items, options, cursor), 40 - i);
      assert.equal(resumed.rows, rows.slice(i));
      assert.equal(resumed.cursors, cursors.slice(i));
    }
  };
  await fc.assert(fc.asyncProperty(documents, options, fc.boolean(), check), { seed: 3, numRuns: 150 });
});

test('documents are whole where they fit, pieces of N and a rest where not', async () => {
  const check = async (items: MadeExample[], some: Options) => {
    const options = { ...some, packing: 'best-fit', longDocuments: 'split', repeat: false } as const;
    const { rows } = await record(streamOf(items, options));
    const starts = new Map<number, number>();
    for (const { tokens } of isRight(items)) {
      const pairs = tokens.length - 1;
      for (let i = 0; i < pairs; i += some.sequence)
        starts.set(tokens[i]!, Math.min(some.sequence, pairs - i));
    }
    for (const [first, length] of rows.flatMap(piecesIn).map((piece) => [piece[0]!, piece.length] as const))
      assert.is(length, starts.get(first), `the piece at ${first}`);
  };
  await fc.assert(fc.asyncProperty(documents, options, check), { seed: 4, numRuns: 200 });
});

test('any two rows of a block hold more than a row: at most one is half empty', async () => {
  const check = async (items: MadeExample[], some: Options) => {
    const stream = streamOf(items, { ...some, packing: 'best-fit', repeat: false });
    let block: number[] = [];
    for (let row = await stream.next(); row; row = await stream.next()) {
      block.push(row.filled);
      if (stream.cursor.emitted > 0) continue;
      const [least, next = Number.POSITIVE_INFINITY] = block.sort((a, b) => a - b);
      assert.ok(least! + next > some.sequence);
      block = [];
    }
    assert.equal(block, [], 'a block ends with its last row');
  };
  await fc.assert(fc.asyncProperty(documents, options, check), { seed: 5, numRuns: 200 });
});

test('rows of best-fit packing are counted without making them', async () => {
  const check = async (items: MadeExample[], { sequence, blockRows, seed }: Options) => {
    const texts = isRight(items).map(({ learned: _, ...text }) => text);
    const stream = { sequence, blockRows, seed, packing: 'best-fit', repeat: false } as const;
    const { rows } = await record(streamOf(texts, stream));
    const counter = new BestFitCounter(sequence, blockRows);
    for (const { tokens } of texts) counter.add(tokens.length - 1);
    const filled = rows.reduce((sum, row) => sum + row.filled, 0);
    const efficiency = rows.length === 0 ? 0 : filled / (rows.length * sequence);
    assert.equal(counter.end(), { rows: rows.length, efficiency });
  };
  await fc.assert(fc.asyncProperty(documents, options, check), { seed: 7, numRuns: 200 });
});

test('best-fit with blocks of one row keeps the order', async () => {
  const check = async (items: MadeExample[], some: Options) => {
    const stream = streamOf(items, { ...some, packing: 'best-fit', blockRows: 1, repeat: false });
    const tokens = (await record(stream)).rows.flatMap(piecesIn).flat();
    assert.equal(
      tokens,
      tokens.toSorted((a, b) => a - b),
    );
  };
  await fc.assert(fc.asyncProperty(documents, options, check), { seed: 6, numRuns: 100 });
});

/** Tokens of which only those from `first` on are learned. */
const answering = (length: number, first: number) => ({
  tokens: Uint32Array.from({ length }, (_, i) => 100 + i),
  learned: Uint8Array.from({ length }, (_, i) => (i < first ? 0 : 1)),
  ...{ bytes: length, fraction: 0 },
});

test('an example whose answer is cut off is counted and listed once, and not trained on', async () => {
  const items = [answering(9, 5), answering(9, 4), answering(9, 9), answering(1, 1), answering(3, 2)];
  for (const packing of ['stream', 'best-fit'] as const) {
    const options = { ...{ sequence: 4, blockRows: 2, seed: 1, packing }, repeat: true };
    const { rows, cursors } = await record(streamOf(items, options), 20);
    assert.equal(
      rows.flatMap(({ skipped = [] }) => skipped),
      [
        'memory:0: expected a learned token within --sequence 4, found the first after 5 tokens; raise --sequence',
        'memory:2: expected a token to learn, found none among 9; leave it out',
        'memory:3: expected two tokens or more, found 1; leave it out',
      ],
    );
    assert.is(cursors.at(-1)!.skipped, 3);
    assert.ok(cursors.at(-1)!.epoch > 1);
    const ids = new Set(rows.flatMap(({ documents }) => documents));
    assert.equal([...ids].sort(), ['memory:1', 'memory:4']);
  }
});

test('split, an example loses only what teaches nothing, uncounted', async () => {
  const options = { sequence: 4, blockRows: 1, seed: 1, longDocuments: 'split', repeat: false } as const;
  for (const packing of ['stream', 'best-fit'] as const) {
    const { rows, cursors } = await record(streamOf([answering(9, 5)], { ...options, packing }));
    assert.equal(rows.map(piecesIn), [[[104, 105, 106, 107]]]);
    assert.equal(pairsIn(rows[0]!), ['104>105', '105>106', '106>107', '107>108']);
    assert.is(cursors.at(-1)!.skipped, 0);
  }
});

test('a source with nothing to learn is refused in one line, and none where it does not repeat', async () => {
  for (const packing of ['stream', 'best-fit'] as const) {
    const options = { sequence: 4, blockRows: 2, seed: 1, packing };
    const stream = (repeat: boolean) => streamOf(['bad', answering(9, 6)], { ...options, repeat });
    assert.is(
      await inputErrorOf(() => stream(true).next()),
      'expected a document with something to learn, found none; memory:1: expected a learned token within ' +
        '--sequence 4, found the first after 6 tokens; raise --sequence',
    );
    const ending = stream(false);
    assert.is(await ending.next(), undefined);
    assert.is(ending.cursor.skipped, 2);
  }
});

test('the packing is what suits the first document', async () => {
  const [masked, plain] = encodedExamples([
    { tokens: 3, learned: 1, isBad: false },
    { tokens: 3, learned: 3, isBad: false },
  ]);
  assert.is(await packingOf(sourceOf(['bad', plain!, masked!])), 'stream');
  assert.is(await packingOf(sourceOf(['bad', masked!, plain!])), 'best-fit');
  assert.is(await packingOf(sourceOf([{ messages: [] }])), 'best-fit');
  assert.is(await packingOf(sourceOf(['bad'])), 'stream');
});

test.run();
