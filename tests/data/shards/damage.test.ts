import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { BadDocument, openDocuments } from '#src/data/documents.js';
import type { Example } from '#src/data/examples.js';
import { type Encoder, encodingOf, fingerprintOf } from '#src/data/shards/fingerprint.js';
import { metadataOf } from '#src/data/shards/format.js';
import { ShardWriter } from '#src/data/shards/writer.js';
import { loadTokenizer } from '#src/data/tokenizer.js';
import { type TensorData, writeSafetensors } from '#src/formats/safetensors.js';
import { QMSUM_DEFAULTS } from '#src/options/qmsum.js';
import { makeFixture } from '../../fixtures.js';
import { inputErrorOf } from '../../inputErrors.js';
import { temporaryFolder } from '../../support.js';
import { ENCODING, encodedOf, shardPath, writeShards } from './support.js';

/** What is no shard, a damaged one, or one of another tokenizer: one line that says which file, and what to do. */

const folder = temporaryFolder('damaged-shards');
const path = join(folder, 'tokens.safetensors');

const integers = (...values: bigint[]): TensorData => ({
  dtype: 'I64',
  shape: [values.length],
  data: BigInt64Array.from(values),
});

const problemOf = (path: string): Promise<string> =>
  inputErrorOf(async () => {
    for await (const _ of (await openDocuments({ paths: [path] })).read());
  });

/** Two documents of two tokens, with some tensors and metadata in place of the right ones. */
function putShard(tensors: Record<string, TensorData> = {}, metadata: Record<string, string> = {}): string {
  const all = {
    tokens: { dtype: 'U16', shape: [4], data: Uint16Array.of(5, 6, 7, 8) },
    ends: integers(2n, 4n),
    bytes: integers(2n, 2n),
    fraction: { dtype: 'F64', shape: [2], data: Float64Array.of(0, 0.5) },
    text: { dtype: 'U8', shape: [2], data: new Uint8Array(2) },
    ...tensors,
  } as const;
  const made = metadataOf({ ...ENCODING, vocabulary: 300 }, ['text']);
  writeSafetensors(path, new Map(Object.entries(all)), { ...made, ...metadata });
  return path;
}

const fractions = (...values: number[]): TensorData => ({
  dtype: 'F64',
  shape: [values.length],
  data: Float64Array.from(values),
});
const masked = (...values: number[]): TensorData => ({
  dtype: 'U8',
  shape: [values.length],
  data: Uint8Array.from(values),
});

const DAMAGE: Record<string, [tensors: Record<string, TensorData>, problem: RegExp]> = {
  'ends that do not ascend': [
    { ends: integers(3n, 2n) },
    /expected ends that ascend to 4, found 2 after 3 at document 1/,
  ],
  'an end below 0': [
    { ends: integers(-1n, 4n) },
    /expected ends that ascend to 4, found -1 after 0 at document 0/,
  ],
  'an end beyond the tokens': [{ ends: integers(2n, 5n) }, /expected ends that ascend to 4, found 5 after 2/],
  'an end beyond any file': [{ ends: integers(2n, 2n ** 62n) }, /expected ends that ascend to 4/],
  'tokens of no document': [
    { ends: integers(2n, 3n) },
    /expected 4 as the end of the last document, found 3/,
  ],
  'other numbers of documents': [
    { bytes: integers(2n) },
    /expected a tensor bytes of I64 \[2\], found I64 \[1\]/,
  ],
  'tokens of another type': [
    { tokens: { dtype: 'F32', shape: [4], data: new Float32Array(4) } },
    /expected a tensor tokens of U16 or U32 \[any length\], found F32 \[4\]/,
  ],
  'tokens in rows': [
    { tokens: { dtype: 'U16', shape: [2, 2], data: new Uint16Array(4) } },
    /expected a tensor tokens .*, found U16 \[2,2\]/,
  ],
  'a mask of another length': [
    { learned: masked(1) },
    /expected a tensor learned of U8 \[4\], found U8 \[1\]/,
  ],
  'an id beyond the vocabulary': [
    { tokens: { dtype: 'U16', shape: [4], data: Uint16Array.of(5, 6, 7, 300) } },
    /document 1: expected ids below 300, the size of the vocabulary, found id 300/,
  ],
  'a mask of other values': [
    { learned: masked(0, 1, 1, 2) },
    /document 1: expected a mask of 0 and 1, found other values/,
  ],
  'bytes below 0': [{ bytes: integers(2n, -2n) }, /document 1: expected bytes of 0 or more, found -2/],
  'a fraction of 1': [
    { fraction: fractions(0, 1) },
    /document 1: expected a fraction from 0 to below 1, found 1/,
  ],
  'no number as a fraction': [
    { fraction: fractions(Number.NaN, 0) },
    /document 0: expected a fraction .*, found NaN/,
  ],
  'no documents': [
    {
      ends: integers(),
      bytes: integers(),
      fraction: fractions(),
      text: { dtype: 'U8', shape: [0], data: new Uint8Array(0) },
      tokens: { dtype: 'U16', shape: [0], data: new Uint16Array(0) },
    },
    /expected at least one document, found none/,
  ],
};

for (const [what, [tensors, problem]] of Object.entries(DAMAGE)) {
  test(`${what}: one line with the file`, async () => {
    const message = await problemOf(putShard(tensors));
    assert.ok(message.startsWith(`${path}: `), message);
    assert.match(message, problem);
  });
}

const METADATA: Record<string, [metadata: Record<string, string>, problem: RegExp]> = {
  'a model': [
    { format: 'pt' },
    /expected a token shard of version 1, found safetensors of another kind \(format pt\); leave/,
  ],
  'a later version': [{ version: '2' }, /expected a token shard of version 1, found version 2/],
  'no number as the vocabulary': [
    { vocabulary: 'x' },
    /expected metadata of a token shard in its header, found vocabulary: /,
  ],
  'no number as EOS': [{ eos: '-1' }, /expected metadata of a token shard in its header, found eos: /],
};

for (const [what, [metadata, problem]] of Object.entries(METADATA)) {
  test(`${what}: one line with the file`, async () => {
    const message = await problemOf(putShard({}, metadata));
    assert.ok(message.startsWith(`${path}: `), message);
    assert.match(message, problem);
  });
}

test('a file cut anywhere: one line', async () => {
  const whole = readFileSync(putShard({ learned: masked(0, 1, 1, 0) }));
  for (let length = 0; length < whole.length; length++) {
    writeFileSync(path, whole.subarray(0, length));
    const message = await problemOf(path);
    assert.ok(message.startsWith(`${path}: `), message);
  }
});

test('a file that is cut while it is read: one line', async () => {
  const examples = Array.from({ length: 3 }, () => ({
    tokens: new Uint32Array(2 ** 20),
    bytes: 1,
    fraction: 0,
  }));
  const shard = shardPath(writeShards(join(folder, 'cut'), examples));
  const items = (await openDocuments({ paths: [shard] })).read();
  assert.is((await items.next()).done, false);
  writeFileSync(shard, readFileSync(shard).subarray(0, 2 ** 22));
  const message = await inputErrorOf(async () => {
    for await (const _ of items);
  });
  assert.match(message, /: expected \d+ bytes at byte \d+, found \d+; fetch or write the shard again$/);
});

test('what is bad is skipped on request: a document, or a file', async () => {
  const good = writeShards(join(folder, 'good'), [{ tokens: Uint32Array.of(9), bytes: 1, fraction: 0 }]);
  const tokens = { dtype: 'U16', shape: [4], data: Uint16Array.of(5, 300, 7, 8) } as const;
  const found: string[] = [];
  for (const bad of [putShard({ tokens }), join(folder, 'cut')]) {
    for await (const item of (await openDocuments({ paths: [bad, good], onBad: 'skip' })).read()) {
      if (item instanceof BadDocument) found.push('bad');
      else found.push([...(item.example as { tokens: Uint32Array }).tokens.subarray(0, 3)].join());
    }
  }
  assert.equal(found, ['bad', '7,8', '9', 'bad', '9']);
});

const fixture = makeFixture('shard-encodings');
const tokenizer = await loadTokenizer(fixture.student);
const encoder = { tokenizer, name: 'STUDENT', eos: false };
const examples = [{ tokens: Uint32Array.of(1, 5), bytes: 1, fraction: 0 }];

test('another tokenizer is refused, by both names', async () => {
  const encoding = { ...encodingOf(encoder), tokenizer: 'OTHER', fingerprint: '0'.repeat(64) };
  const shards = writeShards(join(folder, 'other'), examples, { encoding });
  const message = await inputErrorOf(() => openDocuments({ paths: [shards], encoder }));
  const expected = 'expected token ids of the tokenizer in STUDENT, found those of the one in OTHER';
  assert.is(
    message,
    `${shardPath(shards)}: ${expected}; write the shards again with npx rivulet tokenize --model STUDENT`,
  );
});

test('EOS must be as the run has it', async () => {
  const without = writeShards(join(folder, 'without'), examples, { encoding: encodingOf(encoder) });
  const withEos = { ...encoder, eos: true };
  const having = writeShards(join(folder, 'with'), examples, { encoding: encodingOf(withEos) });
  assert.match(
    await inputErrorOf(() => openDocuments({ paths: [without], encoder: withEos })),
    /: expected documents that end with EOS \(--eos, id 2\), found such without EOS \(no --eos\); leave out --eos, or /,
  );
  assert.match(
    await inputErrorOf(() => openDocuments({ paths: [having], encoder })),
    /: expected documents without EOS \(no --eos\), found such that end with EOS \(--eos, id 2\); give --eos, or /,
  );
  for (const [path, own] of [
    [without, encoder],
    [having, withEos],
  ] as const) {
    const encode = (example: unknown) => example as (typeof examples)[0];
    assert.is((await encodedOf(await openDocuments({ paths: [path], encoder: own }), encode)).length, 1);
  }
});

test('a run that says another chat template or other queries than those of a shard is refused', async () => {
  const chatTemplate = { path: 'chat.jinja', templates: { default: '{{ messages }}' }, specialTokens: {} };
  const qmsum = { ...QMSUM_DEFAULTS, tokens: 20 };
  const own: Encoder = { ...encoder, chatTemplate, qmsum };
  const chat = { ...own, qmsum: { ...qmsum, prompt: 'chat' } } as const;
  const query = { query: 'a', answer: 'b', transcript: 'c' };
  const shardsOf = (name: string, source: Example, by: Encoder): string => {
    const writer = new ShardWriter(join(folder, name), { encoding: encodingOf(by), sources: [] });
    mkdirSync(join(folder, name));
    writer.add(examples[0]!, source);
    writer.end();
    return join(folder, name);
  };
  const paths = {
    text: shardsOf('text', 'a', own),
    pair: shardsOf('pair', { prompt: 'a', completion: 'b' }, own),
    conversation: shardsOf('conversation', { messages: [{ role: 'user', content: 'a' }] }, own),
    query: shardsOf('query', query, own),
    queryByDefault: shardsOf('query-by-default', query, encoder),
    queryInChat: shardsOf('query-in-chat', query, chat),
  };
  const said: Record<string, Encoder> = {
    nothing: encoder,
    own,
    chat,
    defaults: { ...encoder, qmsum: QMSUM_DEFAULTS },
    other: { ...own, chatTemplate: { ...chatTemplate, path: 'other.jinja', templates: { default: '' } } },
  };
  const open = (path: string, by: Encoder) => openDocuments({ paths: [path], encoder: by });
  const refused: string[] = [];
  for (const [what, by] of Object.entries(said)) {
    for (const [name, path] of Object.entries(paths)) {
      if (!(await open(path, by).catch(() => undefined))) refused.push(`${name}, ${what}`);
    }
  }
  assert.equal(refused, [
    ...['queryByDefault, own', 'queryInChat, own'],
    ...['query, chat', 'queryByDefault, chat'],
    ...['query, defaults', 'queryInChat, defaults'],
    ...['conversation, other', 'queryByDefault, other', 'queryInChat, other'],
  ]);
  assert.match(
    await inputErrorOf(() => open(paths.conversation, said.other!)),
    /: expected conversations as other\.jinja writes them, found such of another chat template .*; leave out --chat-template, or /,
  );
  assert.match(
    await inputErrorOf(() => open(paths.query, said.defaults!)),
    /: expected queries with transcript=spans,.*tokens=768,.*, found such with .*tokens=20,.*; leave out --qmsum, or write the shards again$/,
  );
});

test('a fingerprint is of tokens, merges, BOS and rules by content', () => {
  const same = { ...partsOf(), tokenOf: (id: number) => tokenizer.tokenOf(id) };
  const of = (parts: object) => fingerprintOf({ ...same, ...parts } as typeof tokenizer);
  assert.is(of({}), fingerprintOf(tokenizer));
  const merges = tokenizer.merges.slice();
  merges[3]! += 1;
  const others = [
    { merges },
    { bosId: undefined },
    { rules: '[]' },
    { vocabularySize: tokenizer.vocabularySize + 1 },
    { tokenOf: (id: number) => (id === 300 ? 'other' : tokenizer.tokenOf(id)) },
  ];
  assert.is(new Set([of({}), ...others.map(of)]).size, 6);
});

const partsOf = () => ({
  vocabularySize: tokenizer.vocabularySize,
  merges: tokenizer.merges,
  bosId: tokenizer.bosId,
  rules: tokenizer.rules,
});

test.run();
