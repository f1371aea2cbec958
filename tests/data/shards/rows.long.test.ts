import { join } from 'node:path';
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { InputError } from '#src/base/errors.js';
import { type DocumentOptions, type DocumentSource, openDocuments } from '#src/data/documents.js';
import { createEncode } from '#src/data/encoding.js';
import { holdOut } from '#src/data/holdOut.js';
import { type Row, RowStream, type RowStreamOptions } from '#src/data/packing.js';
import { jsonl, Library } from '../documents/support.js';
import { encodedOf, units, writeShards } from './support.js';

/** A run over shards gets the rows that one over the text gets. */

const library = new Library('shard-rows');
let count = 0;

const word = fc.string({ unit: fc.constantFrom('a', 'b', 'é', '😀'), maxLength: 12 });
const texts = fc.array(word, { minLength: 2, maxLength: 12 }).filter((all) => all.join('').length > 4);
const options = fc.record({
  sequence: fc.integer({ min: 1, max: 9 }),
  blockRows: fc.integer({ min: 1, max: 6 }),
  seed: fc.nat(),
  repeat: fc.constant(true),
});
const shardBytes = fc.constantFrom(1, 70, 2 ** 20);

interface Corpus {
  readonly text: string;
  readonly shards: string;
}

/** The same documents as text and as shards. @returns their paths */
async function both(documents: readonly string[], eos: boolean, shardBytes: number): Promise<Corpus> {
  const text = library.put(`${count++}.jsonl`, jsonl([...documents]));
  const encoded = await encodedOf(await openDocuments({ paths: [text] }), createEncode(units, { eos }));
  const shards = writeShards(join(library.folder, String(count++)), encoded, { shardBytes });
  return { text, shards };
}

const ROWS = 30;
const RUNS = { numRuns: 40 };

/** Slots of the first rows, or what went wrong instead. */
async function rowsOf(source: DocumentSource, eos: boolean, options: RowStreamOptions): Promise<unknown> {
  const stream = new RowStream(source, createEncode(units, { eos }), options);
  const rows: Row[] = [];
  try {
    while (rows.length < ROWS) rows.push((await stream.next())!);
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    // What follows names the file.
    return error.message.replace(/; .*/, '');
  }
  return rows.map(({ tokens, labels, positions }) => [tokens, labels, positions].map((slots) => [...slots]));
}

const open = (paths: string[], others: Omit<DocumentOptions, 'paths'> = {}) =>
  openDocuments({ paths, ...others });

test('any shuffle, with EOS and without', () =>
  fc.assert(
    fc.asyncProperty(texts, options, fc.boolean(), shardBytes, async (all, options, eos, bytes) => {
      const { text, shards } = await both(all, eos, bytes);
      assert.equal(
        await rowsOf(await open([shards]), eos, options),
        await rowsOf(await open([text]), eos, options),
      );
    }),
    RUNS,
  ));

test('the same documents are held out', () =>
  fc.assert(
    fc.asyncProperty(
      texts,
      options,
      fc.double({ min: 0.1, max: 0.9, noNaN: true }),
      async (all, options, share) => {
        const { text, shards } = await both(all, false, 70);
        const [fromShards, fromText] = [
          await holdOut(await open([shards]), share),
          await holdOut(await open([text]), share),
        ];
        for (const part of ['training', 'evaluation'] as const) {
          assert.equal(
            await rowsOf(fromShards[part], false, options),
            await rowsOf(fromText[part], false, options),
          );
        }
      },
    ),
    RUNS,
  ));

test('sources by weight', () =>
  fc.assert(
    fc.asyncProperty(texts, texts, options, fc.integer({ min: 1, max: 9 }), async (a, b, options, weight) => {
      const [first, second] = [await both(a, false, 70), await both(b, false, 70)];
      const rows = async (kind: keyof Corpus) =>
        rowsOf(await open([`${first[kind]}:${weight}`, `${second[kind]}:2`]), false, options);
      assert.equal(await rows('shards'), await rows('text'));
    }),
    RUNS,
  ));

test('ranks: the rows of the text where both are one file', () =>
  fc.assert(
    fc.asyncProperty(texts, options, fc.integer({ min: 1, max: 3 }), async (all, options, ranks) => {
      const { text, shards } = await both(all, false, 2 ** 20);
      for (let index = 0; index < ranks; index++) {
        const rank = { rank: { index, count: ranks } };
        const rows = async (path: string) => rowsOf(await open([path], rank), false, options);
        const [found, expected] = [await rows(shards), await rows(text)];
        // Messages name the files.
        if (typeof expected === 'string') assert.type(found, 'string');
        else assert.equal(found, expected);
      }
    }),
    RUNS,
  ));

test('ranks: every document once, whatever the number of files', () =>
  fc.assert(
    fc.asyncProperty(texts, fc.integer({ min: 1, max: 3 }), shardBytes, async (all, ranks, bytes) => {
      const { shards } = await both([...all, ...all], false, bytes);
      const read: string[] = [];
      for (let index = 0; index < ranks; index++) {
        const part = await open([shards], { rank: { index, count: ranks } });
        const encode = createEncode(units, { eos: false });
        for (const { tokens } of await encodedOf(part, encode)) read.push(tokens.join());
      }
      const expected = await encodedOf(await open([shards]), createEncode(units, { eos: false }));
      assert.equal(read.sort(), expected.map(({ tokens }) => tokens.join()).sort());
    }),
    RUNS,
  ));

test('a stream goes on where another one stood', () =>
  fc.assert(
    fc.asyncProperty(texts, options, shardBytes, async (all, options, bytes) => {
      const { shards } = await both(all, false, bytes);
      const encode = createEncode(units, { eos: false });
      const stream = new RowStream(await open([shards]), encode, options);
      for (let i = 0; i < 12; i++) {
        const resumed = new RowStream(
          await open([shards], { from: stream.cursor.place }),
          encode,
          options,
          stream.cursor,
        );
        assert.equal((await resumed.next())!, (await stream.next())!);
      }
    }),
    RUNS,
  ));

test.run();
