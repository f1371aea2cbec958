import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { type FileMetaData, parquetSchema, type SchemaElement } from 'hyparquet';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { assembled, type Entry, type Leaf, nodeOf } from '#src/data/documents/parquet/nested.js';
import {
  BadDocument,
  type Document,
  type DocumentOptions,
  type DocumentSource,
  type Place,
} from '#src/data/documents.js';
import type { Example } from '#src/data/examples.js';
import { projectRoot } from '../../support.js';
import { lz4Block } from './lz4Block.js';
import {
  assertRestarts,
  Library,
  open,
  type ParquetOptions,
  parquet,
  problemOf,
  read,
  textsOf,
  zstdFrame,
} from './support.js';

const library = new Library('parquet');
const put = library.put.bind(library);
const golden = (name: string) => join(projectRoot, 'tests/goldens/documents', name);

const codecs: Record<string, ParquetOptions> = {
  plain: { codec: 'UNCOMPRESSED' },
  snappy: { codec: 'SNAPPY' },
  gzip: { codec: 'GZIP', compressors: { GZIP: (bytes) => gzipSync(bytes) } },
  brotli: { codec: 'BROTLI', compressors: { BROTLI: (bytes) => brotliCompressSync(bytes) } },
  lz4: { codec: 'LZ4_RAW', compressors: { LZ4_RAW: lz4Block } },
  zstd: { codec: 'ZSTD', compressors: { ZSTD: (bytes) => zstdFrame(bytes) } },
};

const reading = suite('a .parquet file');

reading('is one document a row, in pages and row groups of any size', async () => {
  const text = fc.string({ unit: fc.constantFrom('a', 'é', '😀', ' ', '\n'), maxLength: 20 });
  const check = async (texts: string[], codec: string, rowGroupSize: number, pageSize: number) => {
    const path = put('any.parquet', parquet(texts, { ...codecs[codec], rowGroupSize, pageSize }));
    const found = await read(await open(path));
    assert.equal(
      found.map(({ id, text }) => [id, text]),
      texts.map((value, i) => [`${path}[${i}]`, value]),
    );
    await assertRestarts(path);
  };
  await fc.assert(
    fc.asyncProperty(
      fc.array(text, { minLength: 1, maxLength: 30 }),
      fc.constantFrom(...Object.keys(codecs)),
      fc.integer({ min: 1, max: 12 }),
      fc.integer({ min: 1, max: 60 }),
      check,
    ),
    { seed: 5, numRuns: 100 },
  );
});

for (const encoding of ['PLAIN', 'RLE_DICTIONARY', 'DELTA_LENGTH_BYTE_ARRAY', 'DELTA_BYTE_ARRAY'] as const) {
  reading(`in ${encoding}`, async () => {
    const texts = Array.from({ length: 3000 }, (_, i) => `${'text '.repeat(i % 9)}${i % 700}`);
    const columnData = [
      {
        name: 'text',
        data: texts,
        type: 'STRING' as const,
        nullable: false,
        ...(encoding !== 'RLE_DICTIONARY' && { encoding }),
      },
    ];
    const path = put(
      'encoded.parquet',
      Buffer.from(parquetWriteBuffer({ columnData, rowGroupSize: 1300, pageSize: 2000 })),
    );
    assert.equal(await textsOf(path), texts);
    await assertRestarts(path, {}, 250);
  });
}

reading('as pyarrow, polars and DuckDB write it', async () => {
  const texts = JSON.parse(readFileSync(golden('texts.json'), 'utf8')) as string[];
  const nested = ['pyarrow-snappy', 'pyarrow-gzip', 'pyarrow-zstd'];
  const flat = ['pyarrow-delta_length_byte_array', 'pyarrow-delta_byte_array', 'polars', 'duckdb'];
  for (const name of [...nested, ...flat]) {
    assert.equal(await textsOf(golden(`${name}.parquet`)), texts, name);
    await assertRestarts(golden(`${name}.parquet`), {}, 40);
  }
  for (const name of nested) {
    assert.equal(await textsOf(golden(`${name}.parquet`), { textColumn: 'meta.story' }), texts, name);
  }
});

reading('goes back to the start of a page', async () => {
  const texts = Array.from({ length: 100 }, (_, i) => `${i} `.repeat(20));
  const path = put(
    'pages.parquet',
    parquet(texts, { rowGroupSize: 50, pageSize: 300, codec: 'UNCOMPRESSED' }),
  );
  const restarts = (await read(await open(path))).map(({ place }) => place.sources[0]!.at!.restart!.before);
  assert.ok(new Set(restarts).size >= 10);
  assert.ok(restarts.every((before, i) => before <= i && i - before < 15));
});

reading('holds nulls: none of them is a text', async () => {
  const texts = JSON.parse(readFileSync(golden('texts.json'), 'utf8')) as string[];
  const path = golden('nulls.parquet');
  assert.match(
    await problemOf(path),
    /nulls\.parquet: row 0: expected a text, found null; leave such rows out/,
  );
  const skipped: string[] = [];
  const found = await read(await open(path, { onBad: 'skip' }), undefined, skipped);
  assert.equal(
    found.map(({ text }) => text),
    texts.filter((_, i) => i % 7 !== 0),
  );
  assert.equal(
    skipped.map((message) => Number(/row (\d+)/.exec(message)![1])),
    texts.map((_, i) => i).filter((i) => i % 7 === 0),
  );
  await assertRestarts(path, { onBad: 'skip' }, 30);
});

const conversations = JSON.parse(readFileSync(golden('conversations.json'), 'utf8')) as unknown[];

/** The examples of an epoch, from every document on the same ones. */
async function examplesOf(path: string, options: Partial<DocumentOptions> = {}): Promise<Example[]> {
  const source = await open(path, options);
  const documents = await allOf(source.read());
  for (const [i, { place }] of documents.entries()) {
    if (i % 17 !== 0) continue;
    assert.equal(await allOf(source.read(JSON.parse(JSON.stringify(place)) as Place)), documents.slice(i));
  }
  return documents.map(({ example }) => example);
}

async function allOf(items: ReturnType<DocumentSource['read']>): Promise<Document[]> {
  const documents: Document[] = [];
  for await (const item of items) if (!(item instanceof BadDocument)) documents.push(item);
  return documents;
}

reading('holds conversations, as pyarrow writes lists of structs', async () => {
  const expected = conversations.map((messages) => ({ messages }));
  assert.equal(await examplesOf(golden('conversations-v1.parquet')), expected);
  assert.equal(await examplesOf(golden('conversations-v2.parquet')), expected);
  assert.equal(await examplesOf(golden('conversations-v1.parquet'), { textColumn: 'data.turns' }), expected);
});

reading('holds prompts and completions', async () => {
  const expected = Array.from({ length: 120 }, (_, i) => ({
    prompt: `${i} `.repeat(i % 7),
    completion: ` ${i}`,
  }));
  assert.equal(await examplesOf(golden('pairs.parquet')), expected);
});

reading('says what is wrong with a conversation by its row', async () => {
  const skipped: string[] = [];
  const source = await open(golden('conversations-empty.parquet'), { onBad: 'skip' });
  const found: unknown[] = [];
  for await (const item of source.read()) {
    if (item instanceof BadDocument) skipped.push(item.message.replace(/.*parquet: /, ''));
    else found.push(item.example);
  }
  assert.equal(found, [{ messages: conversations[0] }]);
  assert.equal(skipped, [
    'row 0: expected messages, found an empty list; delete the record',
    'row 1: expected messages, prompt and completion, or text, found none (columns: none); set --text-column',
    'row 3: turn 1: expected an object with role and content, found nothing; mend the record',
    'row 4: turn 1: expected content or tool_calls, found neither of them; mend the record',
  ]);
});

const leaf = (name: string): SchemaElement => ({
  ...{ name, type: 'BYTE_ARRAY', converted_type: 'UTF8', repetition_type: 'OPTIONAL' },
});
const repeated = (name: string, fields: number): SchemaElement => ({
  ...{ name, repetition_type: 'REPEATED', num_children: fields },
});

/** What a column of one row holds: of each leaf, its texts with their levels. */
function assembledOf(
  schema: SchemaElement[],
  row: (readonly [text: string | null, level: number, repetition: number])[][],
) {
  const root = { name: 'root', num_children: 1 };
  const leaves: Leaf[] = [];
  const metadata = { schema: [root, ...schema] } as FileMetaData;
  const node = nodeOf(parquetSchema(metadata).children[0]!, { level: 0, repetition: 0 }, leaves)!;
  assert.is(leaves.length, row.length);
  const entry = ([text, level, repetition]: readonly [string | null, number, number]): Entry => ({
    ...{ text: text === null ? undefined : Buffer.from(text), level, repetition },
  });
  return assembled(
    node,
    row.map((entries) => entries.map(entry)),
  );
}

reading('holds lists of two levels, as older writers have them', () => {
  const list: SchemaElement = {
    ...{ name: 'messages', repetition_type: 'OPTIONAL', num_children: 1, converted_type: 'LIST' },
  };
  const turns = [
    { role: 'user', content: 'a' },
    { role: 'assistant', content: 'b' },
  ];
  const group = (name: string) => [list, repeated(name, 2), leaf('role'), leaf('content')];
  const two: Parameters<typeof assembledOf>[1] = [
    [
      ['user', 3, 0],
      ['assistant', 3, 1],
    ],
    [
      ['a', 3, 0],
      ['b', 3, 1],
    ],
  ];
  assert.equal(assembledOf(group('array'), two), turns);
  assert.equal(assembledOf(group('messages_tuple'), two), turns);
  assert.equal(assembledOf(group('array'), [[[null, 1, 0]], [[null, 1, 0]]]), []);
  assert.is(assembledOf(group('array'), [[[null, 0, 0]], [[null, 0, 0]]]), undefined);
  assert.equal(
    assembledOf([repeated('messages', 2), leaf('role'), leaf('content')], [[['user', 2, 0]], [[null, 1, 0]]]),
    [{ role: 'user' }],
  );
  assert.equal(assembledOf([list, repeated('x_tuple', 1), leaf('role')], [[['a', 3, 0]]]), [{ role: 'a' }]);
  assert.equal(assembledOf([list, repeated('x', 1), leaf('element')], [[['a', 3, 0]]]), ['a']);
  assert.throws(() => assembledOf(group('array'), [two[0]!, two[1]!.slice(1)]), /differ in length/);
});

reading('has no call of a function of which a part is no text', () => {
  const calls = (type: SchemaElement['type']): SchemaElement[] => [
    { name: 'messages', repetition_type: 'REPEATED', num_children: 2 },
    leaf('role'),
    { name: 'tool_calls', repetition_type: 'REPEATED', num_children: 1 },
    { ...leaf('x'), type, ...(type === 'INT64' && { converted_type: undefined }) } as SchemaElement,
  ];
  const metadata = (schema: SchemaElement[]) =>
    parquetSchema({ schema: [{ name: 'root', num_children: 1 }, ...schema] } as FileMetaData).children[0]!;
  const read = (type: SchemaElement['type']) =>
    nodeOf(metadata(calls(type)), { level: 0, repetition: 0 }, []);
  assert.ok(read('BYTE_ARRAY'));
  assert.throws(
    () => read('INT64'),
    /^expected texts in messages\.tool_calls\.x, found another type \(INT64\); write functions/,
  );
});

reading('may lie in a compressed file', async () => {
  const texts = ['a', 'b', 'c'];
  const path = put('inside.parquet.gz', gzipSync(parquet(texts)));
  assert.equal(await textsOf(path), texts);
  assert.match(
    await problemOf(put('cut.parquet.gz', gzipSync(parquet(texts)).subarray(0, -20))),
    /gzip member/,
  );
});
reading.run();

const refused = suite('a .parquet file that is refused');
const WHOLE = parquet(['one', 'two', 'three', 'four'], { rowGroupSize: 2, codec: 'UNCOMPRESSED' });

refused('a missing column, or one of another type', async () => {
  const path = put('columns.parquet', WHOLE);
  assert.match(
    await problemOf(path, { textColumn: 'story' }),
    /columns\.parquet: expected a text or messages in column "story", found none \(columns: number, text\); set --text-column/,
  );
  assert.match(await problemOf(path, { textColumn: 'number' }), /another type \(INT32\); set --text-column/);
  assert.match(
    await problemOf(golden('pyarrow-snappy.parquet'), { textColumn: 'meta' }),
    /another type \(a group\)/,
  );
});

refused('a file cut anywhere', async () => {
  for (let length = 1; length < WHOLE.length; length += 1 + (length >> 5)) {
    const message = await problemOf(put('cut.parquet', WHOLE.subarray(0, length)));
    assert.match(
      message,
      /cut\.parquet: expected a Parquet file with PAR1 at its end, found other bytes; is the/,
    );
  }
});

refused('a file that lost bytes in the middle', async () => {
  const path = put('hole.parquet', Buffer.concat([WHOLE.subarray(0, 20), WHOLE.subarray(40)]));
  assert.match(await problemOf(path), /hole\.parquet: expected .*; fetch the file again/);
});

refused('a changed byte in a page with a checksum', async () => {
  const bytes = readFileSync(golden('pyarrow-snappy.parquet'));
  const at = bytes.indexOf('upon');
  bytes[at] = bytes[at]! ^ 1;
  assert.match(
    await problemOf(put('flip.parquet', bytes)),
    /expected a Parquet page, found a wrong checksum/,
  );
});

refused('invalid UTF-8', async () => {
  const bytes = Buffer.from(WHOLE);
  bytes[bytes.indexOf('two') + 1] = 0xff;
  assert.match(
    await problemOf(put('latin.parquet', bytes)),
    /latin\.parquet: row 1: expected UTF-8, found other/,
  );
  const skipped: string[] = [];
  const found = await read(await open(put('latin.parquet', bytes), { onBad: 'skip' }), undefined, skipped);
  assert.equal(
    found.map(({ text }) => text),
    ['one', 'three', 'four'],
  );
});

refused('an unknown codec', async () => {
  const lzo = parquet(['a'], { codec: 'LZO', compressors: { LZO: (bytes) => bytes } });
  assert.match(
    await problemOf(put('brotli.parquet', lzo)),
    /expected Parquet compressed with UNCOMPRESSED, SNAPPY, GZIP, ZSTD, BROTLI, LZ4_RAW, found LZO; write it again/,
  );
});

refused('no rows', async () => {
  assert.match(
    await problemOf(put('none.parquet', parquet([]))),
    /expected at least one document, found none/,
  );
});
refused.run();
