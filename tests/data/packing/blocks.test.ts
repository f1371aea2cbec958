import v8 from 'node:v8';
import vm from 'node:vm';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Row, RowStream } from '#src/data/packing.js';
import { encodedExamples, type MadeExample, pairsIn, record, sourceOf, streamOf } from './memory.js';

/** Where blocks end, and what they take of memory. */

const made = (...lengths: number[]) =>
  encodedExamples(lengths.map((tokens) => ({ tokens, learned: 3, isBad: false })));
const shown = (rows: readonly Row[]) => rows.map((row) => pairsIn(row).join(' '));

v8.setFlagsFromString('--expose-gc');
const collectGarbage = vm.runInNewContext('gc') as () => void;

/** Nine pairs: three rows of three. */
const items = made(5, 4, 3);

test('a block ends with the row in which the documents are over twice; text that fills it is as ever', async () => {
  for (const packing of ['stream', 'best-fit'] as const) {
    const small = { sequence: 3, blockRows: 1_000_000, seed: 4, repeat: true, packing };
    let read = 0;
    const onDocument = () => {
      read++;
    };
    const stream = streamOf(items, { ...small, onDocument });
    await stream.next();
    assert.ok(read <= 9, `${read} documents read for a block`);
    const { rows } = await record(streamOf(items, small), 60);
    for (const pair of ['1>2', '11>12']) {
      const count = rows.flatMap(pairsIn).filter((found) => found === pair).length;
      assert.ok(count > 15 && count < 25, `${pair}: ${count} times in 60 rows`);
    }
    // Blocks of an epoch or less: a limit does not change them.
    const { blockEpochs: _, ...before } = streamOf(items, small).cursor;
    for (const blockRows of [1, 2, 3]) {
      const old = await record(streamOf(items, { ...small, blockRows }, before), 50);
      const found = await record(streamOf(items, { ...small, blockRows }), 50);
      assert.equal(shown(found.rows), shown(old.rows));
    }
  }
});

test('a run begun before blocks had a limit goes on as it began', async () => {
  const options = { sequence: 2, blockRows: 40, seed: 3, repeat: true };
  const { blockEpochs: _, ...before } = streamOf(items, options).cursor;
  const old = await record(streamOf(items, options, before), 85);
  const cursor = old.cursors[55]!;
  assert.is(cursor.row, 40);
  assert.not('blockEpochs' in cursor);
  const resumed = await record(streamOf(items, options, cursor), 30);
  assert.equal(shown(resumed.rows), shown(old.rows.slice(55)));
  const fresh = await record(streamOf(items, options), 85);
  assert.is.not(shown(fresh.rows).join(), shown(old.rows).join());
});

test('from any cursor of little text the further rows are the same', async () => {
  for (const packing of ['stream', 'best-fit'] as const) {
    const options = { sequence: 2, blockRows: 1000, seed: 5, repeat: true, packing };
    const { rows, cursors } = await record(streamOf(items, options), 60);
    for (let from = 0; from < 40; from++) {
      const { rows: rest } = await record(streamOf(items, options, cursors[from]), 20);
      assert.equal(shown(rest), shown(rows.slice(from, from + 20)));
    }
  }
});

test('a block of rows of one slot is little larger than its tokens', async () => {
  const long: MadeExample[] = [{ tokens: new Uint32Array(300_001), bytes: 1, fraction: 0 }];
  const encode = (example: unknown) => example as Exclude<MadeExample, string>;
  const options = { sequence: 1, blockRows: 300_000, seed: 1, repeat: true };
  const stream = new RowStream(sourceOf(long), encode, options);
  collectGarbage();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  await stream.next();
  collectGarbage();
  const now = process.memoryUsage();
  const bytes = now.heapUsed - heapUsed + (now.arrayBuffers - arrayBuffers);
  assert.ok(bytes < 300_000 * 100, `${bytes / 300_000} bytes a row`);
  assert.is(stream.cursor.emitted, 1);
});

test.run();
