import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { BadDocument, type Document, openDocuments, type Place } from '#src/data/documents.js';
import type { EncodedExample } from '#src/data/examples.js';
import { openSafetensors } from '#src/formats/safetensors.js';
import { temporaryFolder } from '../../support.js';
import { stored } from '../documents/support.js';
import { ENCODING, encodedOf, shardName, shardPath, writeShards } from './support.js';

const root = temporaryFolder('shards');
let folders = 0;
const fresh = () => join(root, String(folders++));

const example = (vocabulary: number, masked: boolean): fc.Arbitrary<EncodedExample> =>
  fc
    .record({
      tokens: fc.uint32Array({ max: vocabulary - 1, maxLength: 12 }),
      bytes: fc.nat(),
      fraction: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }).map(Math.abs),
      isMasked: fc.boolean(),
      bits: fc.uint8Array({ max: 1, minLength: 12, maxLength: 12 }),
    })
    .map(({ isMasked, bits, ...encoded }) => ({
      ...encoded,
      learned: masked && isMasked ? bits.subarray(0, encoded.tokens.length) : undefined,
    }));

const corpus = fc
  .record({ vocabulary: fc.constantFrom(3, 2 ** 16, 2 ** 16 + 1, 2 ** 32 - 1), masked: fc.boolean() })
  .chain(({ vocabulary, masked }) =>
    fc.record({
      vocabulary: fc.constant(vocabulary),
      examples: fc.array(example(vocabulary, masked), { minLength: 1, maxLength: 30 }),
      shardBytes: fc.constantFrom(1, 64, 200, 2 ** 20),
    }),
  );

/** With masks spelled out: a shard where some document has one has them all. */
const spelled = ({ tokens, learned, bytes, fraction }: EncodedExample) => ({
  tokens: [...tokens],
  learned: [...(learned ?? new Uint8Array(tokens.length).fill(1))],
  bytes,
  fraction,
});

async function documentsOf(path: string, place?: Place): Promise<Document[]> {
  const documents: Document[] = [];
  for await (const item of (await openDocuments({ paths: [path] })).read(place)) {
    if (item instanceof BadDocument) throw item;
    documents.push(item);
  }
  return documents;
}

test('what is written is read: ids of two bytes and four, masks, empty documents, many shards', () =>
  fc.assert(
    fc.asyncProperty(corpus, async ({ vocabulary, examples, shardBytes }) => {
      const folder = writeShards(fresh(), examples, { encoding: { ...ENCODING, vocabulary }, shardBytes });
      const { tokens, learned } = Object.fromEntries(openSafetensors(shardPath(folder)).tensors);
      assert.is(tokens!.dtype, vocabulary <= 2 ** 16 ? 'U16' : 'U32');
      const isOne = readdirSync(folder).length === 1;
      assert.is(isOne && learned !== undefined, isOne && examples.some((one) => one.learned));
      const read = await encodedOf(await openDocuments({ paths: [folder] }), (one) => one as EncodedExample);
      assert.equal(read.map(spelled), examples.map(spelled));
    }),
    { numRuns: 200 },
  ));

test('reading starts at any document', () =>
  fc.assert(
    fc.asyncProperty(corpus, async ({ vocabulary, examples, shardBytes }) => {
      const folder = writeShards(fresh(), examples, { encoding: { ...ENCODING, vocabulary }, shardBytes });
      const all = await documentsOf(folder);
      for (const [i, { place }] of all.entries()) {
        assert.equal(await documentsOf(folder, stored(place)), all.slice(i));
      }
    }),
    { numRuns: 30 },
  ));

test('documents are numbered in their file', async () => {
  const one = { tokens: Uint32Array.of(5, 6), bytes: 2, fraction: 0.5 };
  const folder = writeShards(fresh(), [one, one, one], { shardBytes: 60 });
  assert.equal(
    (await documentsOf(folder)).map(({ id }) => id),
    [`${shardPath(folder, 0)}[0]`, `${shardPath(folder, 0)}[1]`, `${shardPath(folder, 1)}[0]`],
  );
});

test('a document larger than a shard is one; a shard is no larger than asked for otherwise', () => {
  const sizes = [10, 500, 10, 10, 40];
  const examples = sizes.map((size) => ({ tokens: new Uint32Array(size), bytes: size, fraction: 0 }));
  const folder = writeShards(fresh(), examples, { shardBytes: 150 });
  const documents = readdirSync(folder)
    .sort()
    .map((name) => openSafetensors(join(folder, name)).tensors.get('ends')!.shape[0]);
  assert.equal(documents, [1, 1, 2, 1]);
});

test('the same documents give the same bytes', () => {
  const one = { tokens: Uint32Array.of(5, 6, 7), bytes: 4, fraction: 0.25 };
  const [a, b] = [writeShards(fresh(), [one, one]), writeShards(fresh(), [one, one])];
  assert.equal(readFileSync(shardPath(a)), readFileSync(shardPath(b)));
});

test('slices: documents longer than a read, and more of them than are known at once', async () => {
  const long = Uint32Array.from({ length: 3_000_000 }, (_, i) => i % 50_000);
  const examples = [
    long,
    ...Array.from({ length: 10_000 }, (_, i) => long.subarray(i, i + (i % 40))),
    long,
  ].map((tokens, i) => ({ tokens, bytes: i, fraction: i / 20_000 }));
  const folder = writeShards(fresh(), examples);
  assert.equal(readdirSync(folder), [shardName(0)]);
  const read = await documentsOf(folder);
  assert.is(read.length, examples.length);
  for (const [i, { example }] of read.entries()) {
    const { tokens, bytes, fraction } = example as EncodedExample;
    const expected = examples[i]!;
    assert.is(Buffer.compare(Buffer.from(tokens), Buffer.from(expected.tokens)), 0, `document ${i}`);
    assert.equal([bytes, fraction], [expected.bytes, expected.fraction]);
  }
});

test.run();
