import { join } from 'node:path';
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type DocumentSource, openDocuments, type Place } from '#src/data/documents.js';
import { createEncode, type DocumentTokenizer } from '#src/data/encoding.js';
import { holdOut } from '#src/data/holdOut.js';
import { type Cursor, NO_LABEL, type Row, RowStream, type RowStreamOptions } from '#src/data/packing.js';
import { inputErrorOf } from '../inputErrors.js';
import { compressed, jsonl, Library, parquet } from './documents/support.js';
import { record } from './packing/memory.js';

const library = new Library('packing');
const put = library.put.bind(library);
const BOS = 1;
const EOS = 2;

/** One id a character, its code point; BOS and EOS are control characters that no text here holds. */
const characters: DocumentTokenizer = {
  before: Uint32Array.of(BOS),
  bosId: BOS,
  eosId: EOS,
  encode: (text, options) => {
    assert.is(options?.addSpecialTokens, false);
    return Uint32Array.from(text, (character) => character.codePointAt(0)!);
  },
};

const linesOf = (texts: string[]) => openDocuments({ paths: [put('lines.jsonl', jsonl(texts))] });

/** The place of documents that are in no file. */
const START: Place = { files: [], sources: [], taken: [] };
const MEMORY: Place = { files: ['memory'], sources: [], taken: [] };

const ONE_PASS: RowStreamOptions = { sequence: 4, blockRows: 1, seed: 0, repeat: false };

type StreamOptions = Partial<RowStreamOptions & { eos: boolean }>;

function streamOf(documents: DocumentSource, options: StreamOptions, cursor?: Cursor): RowStream {
  const { eos = false, ...others } = options;
  return new RowStream(documents, createEncode(characters, { eos }), { ...ONE_PASS, ...others }, cursor);
}

async function take(stream: RowStream, limit = Number.POSITIVE_INFINITY): Promise<Row[]> {
  const rows: Row[] = [];
  while (rows.length < limit) {
    const row = await stream.next();
    if (!row) break;
    rows.push(row);
  }
  return rows;
}

/** A row as text: each slot as token, label and position; `.` where padded. */
function show({ tokens, labels, positions }: Row): string {
  const character = (id: number) => (id === BOS ? '<' : id === EOS ? '>' : String.fromCodePoint(id));
  return Array.from(tokens, (token, t) =>
    labels[t] === NO_LABEL ? '.' : `${character(token)}${character(labels[t]!)}${positions[t]}`,
  ).join(' ');
}

type Kind = 'txt' | 'separated txt' | 'jsonl' | 'json' | 'csv' | 'parquet' | 'jsonl.gz' | 'jsonl.zst';

interface CorpusFile {
  kind: Kind;
  texts: string[];
  /** Put empty documents between the others. */
  empties: boolean;
}

const word = fc.string({ unit: fc.constantFrom('a', 'b', 'é', '😀'), minLength: 1, maxLength: 12 });
const corpus: fc.Arbitrary<CorpusFile[]> = fc.array(
  fc.record({
    kind: fc.constantFrom<Kind[]>(
      'txt',
      'separated txt',
      'jsonl',
      'json',
      'csv',
      'parquet',
      'jsonl.gz',
      'jsonl.zst',
    ),
    texts: fc.array(word, { minLength: 1, maxLength: 5 }),
    empties: fc.boolean(),
  }),
  { minLength: 1, maxLength: 3 },
);

const CONTENT: Readonly<
  Record<Exclude<Kind, 'txt' | 'separated txt'>, (texts: string[]) => string | Buffer>
> = {
  jsonl,
  json: (texts) => JSON.stringify(texts.map((text) => ({ text }))),
  csv: (texts) => `text\n${texts.map((text) => `"${text}"\n`).join('')}`,
  parquet: (texts) => parquet(texts, { rowGroupSize: 3, pageSize: 20 }),
  'jsonl.gz': (texts) => compressed('gz', jsonl(texts), [20, 50]),
  'jsonl.zst': (texts) => compressed('zst', jsonl(texts), [20, 50]),
};

/** Writes the files; returns their documents and the texts that these hold, in order. */
async function materialise(files: CorpusFile[]): Promise<{ documents: DocumentSource; texts: string[] }> {
  const texts: string[] = [];
  const paths = files.map(({ kind, texts: own, empties }, i) => {
    if (kind === 'txt' || kind === 'separated txt') {
      const parts = kind === 'txt' ? own.slice(0, 1) : own;
      texts.push(...parts);
      return put(`c${i}.txt`, parts.join(empties ? '||' : '|'));
    }
    const all = empties ? own.flatMap((text) => ['', text, '']) : own;
    texts.push(...all);
    return put(`c${i}.${kind}`, CONTENT[kind](all));
  });
  return { documents: await openDocuments({ paths, separator: '|' }), texts };
}

type SomeOptions = Pick<RowStreamOptions, 'sequence' | 'blockRows' | 'seed'> & { eos: boolean };
const someOptions: fc.Arbitrary<SomeOptions> = fc.record({
  sequence: fc.integer({ min: 1, max: 9 }),
  blockRows: fc.integer({ min: 1, max: 6 }),
  seed: fc.nat(),
  eos: fc.boolean(),
});

/** All pairs (input, label) of the documents, in order, as the definition has them. */
function pairsOf(texts: string[], eos: boolean): string[] {
  return texts.flatMap((text) => {
    const ids = [BOS, ...Array.from(text, (character) => character.codePointAt(0)!), ...(eos ? [EOS] : [])];
    return ids.slice(1).map((label, i) => `${ids[i]}>${label}`);
  });
}

const pairsIn = (row: Row) =>
  Array.from(row.tokens, (token, t) => `${token}>${row.labels[t]}`).filter(
    (_, t) => row.labels[t] !== NO_LABEL,
  );

test('a small stream, slot by slot', async () => {
  const rows = await take(streamOf(await linesOf(['abc', '', 'd', 'efghij']), { eos: true }));
  assert.equal(rows.map(show), ['<a0 ab1 bc2 c>3', '<>0 <d0 d>1 <e0', 'ef0 fg1 gh2 hi3', 'ij0 j>1 . .']);
  const path = join(library.folder, 'lines.jsonl');
  assert.equal(
    rows.map(({ documents }) => documents.map((id) => id.slice(path.length))),
    [[':1'], [':2', ':3', ':4'], [':4'], [':4']],
  );
  const last = rows[3]!;
  assert.equal([...last.labels.subarray(2)], [NO_LABEL, NO_LABEL]);
  assert.equal([...last.positions.subarray(2)], [0, 0]);
  assert.equal([...last.tokens.subarray(2)], [0, 0]);
});

test('without a BOS a document of n ids gives n - 1 pairs', async () => {
  const plain: DocumentTokenizer = { before: new Uint32Array(0), encode: characters.encode };
  const encode = createEncode(plain, { eos: false });
  const rows = await take(new RowStream(await linesOf(['abc', 'd', 'ef']), encode, ONE_PASS));
  assert.equal(rows.map(show), ['ab0 bc1 ef0 .']);
  assert.match(
    await inputErrorOf(() => createEncode(plain, { eos: true })),
    /expected a tokenizer with an EOS/,
  );
});

test('one pass holds every pair once, in order, padded at the very end alone', async () => {
  const check = async (files: CorpusFile[], options: SomeOptions) => {
    const { documents, texts } = await materialise(files);
    const rows = await take(streamOf(documents, { ...options, blockRows: 1 }));
    const expected = pairsOf(texts, options.eos);
    assert.equal(rows.flatMap(pairsIn), expected);
    assert.is(rows.length, Math.ceil(expected.length / options.sequence));
    const labels = rows.flatMap((row) => [...row.labels]);
    assert.ok(labels.slice(0, expected.length).every((label) => label !== NO_LABEL));
  };
  await fc.assert(fc.asyncProperty(corpus, someOptions, check), { seed: 4, numRuns: 60 });
});

test('positions isolate the documents', async () => {
  // Every document has characters of its own, so that a segment shows whose it is.
  const texts = [3, 1, 9, 2, 14, 1, 5].map((length, i) =>
    String.fromCharCode(0x100 * (i + 1)).repeat(length),
  );
  for (const sequence of [1, 2, 3, 5, 8, 50]) {
    const rows = await take(streamOf(await linesOf(texts), { sequence, repeat: true, blockRows: 3 }), 40);
    for (const { tokens, labels, positions } of rows) {
      for (let t = 0; t < sequence; t++) {
        const reach = positions[t]!;
        assert.ok(reach <= t);
        assert.is.not(labels[t], NO_LABEL, 'a stream that repeats has no padding');
        if (reach === 0) continue;
        assert.is(positions[t - 1], reach - 1);
        assert.is(labels[t - 1], tokens[t]);
        const seen = new Set([...tokens.subarray(t - reach, t + 1), labels[t]!]);
        seen.delete(BOS);
        assert.is(seen.size, 1);
      }
      for (let t = 1; t < sequence; t++) {
        const goesOn = positions[t]! > 0;
        const couldGoOn = labels[t - 1] === tokens[t] && tokens[t] !== BOS;
        assert.is(goesOn, couldGoOn, 'a piece is not cut inside a row');
      }
    }
  }
});

test('a block is a permutation of the same rows in order, another one in each block and for each seed', async () => {
  // A thousand characters, each of them once: 250 rows an epoch, no two alike.
  const documents = await linesOf([
    String.fromCharCode(...Array.from({ length: 1000 }, (_, i) => 0x4e00 + i)),
  ]);
  const shuffled = (seed: number, blockRows: number) =>
    take(streamOf(documents, { seed, blockRows, repeat: true }), 300);
  const inOrder = (await shuffled(1, 1)).map(show);
  const orders = new Set<string>();
  for (const seed of [1, 2]) {
    const rows = (await shuffled(seed, 50)).map(show);
    for (let block = 0; block < 6; block++) {
      const [own, plain] = [rows, inOrder].map((list) => list.slice(50 * block, 50 * block + 50));
      assert.equal(own!.toSorted(), plain!.toSorted());
      orders.add(own!.map((row) => plain!.indexOf(row)).join());
      assert.is.not(own!.join(), plain!.join());
    }
  }
  assert.is(orders.size, 12);
});

test('epochs follow one another without a gap', async () => {
  const texts = ['abc', 'de'];
  const stream = streamOf(await linesOf(texts), { repeat: true, sequence: 3 });
  const rows = await take(stream, 10);
  const endless = Array.from({ length: 6 }, () => pairsOf(texts, false)).flat();
  assert.equal(rows.flatMap(pairsIn), endless);
  assert.is(stream.cursor.epoch, 5);
});

test('from any cursor the further rows are the same', async () => {
  const check = async (files: CorpusFile[], options: SomeOptions, repeat: boolean, isSplit: boolean) => {
    const source = (await materialise(files)).documents;
    const documents = isSplit ? (await holdOut(source, 0.3)).training : source;
    const { rows, cursors } = await record(streamOf(documents, { ...options, repeat }), 40);
    for (let i = 0; i <= rows.length; i += 1 + (i % 4)) {
      const resumed = streamOf(documents, { ...options, repeat }, cursors[i]);
      assert.equal(resumed.cursor, cursors[i]);
      assert.equal((await record(resumed, rows.length - i)).rows, rows.slice(i));
      if (rows.length < 40) assert.is(await resumed.next(), undefined);
    }
  };
  let emptySplits = 0;
  const tolerant = async (...args: Parameters<typeof check>) => {
    try {
      await check(...args);
    } catch (error) {
      // A split may leave nothing to train on; that has a test of its own.
      if (!args[3] || !/lower it|something to learn/.test((error as Error).message)) throw error;
      emptySplits++;
    }
  };
  await fc.assert(fc.asyncProperty(corpus, someOptions, fc.boolean(), fc.boolean(), tolerant), {
    seed: 5,
    numRuns: 80,
  });
  assert.ok(emptySplits < 20, `${emptySplits}`);
});

test('cursors taken after a resume are those of the stream never stopped', async () => {
  const documents = await linesOf(['abcdefgh', 'ijk', 'lmnopq']);
  const options = { sequence: 2, blockRows: 4, repeat: true, seed: 9 };
  const straight = streamOf(documents, options);
  let stopped = streamOf(documents, options);
  for (let i = 0; i < 40; i++) {
    assert.equal(await stopped.next(), await straight.next());
    assert.equal(stopped.cursor, straight.cursor);
    if (i % 3 === 0) stopped = streamOf(documents, options, JSON.parse(JSON.stringify(stopped.cursor)));
  }
});

test('a cursor is small, whatever the block holds', async () => {
  const documents = await linesOf([Array.from({ length: 5000 }, () => 'x').join('')]);
  const stream = streamOf(documents, { sequence: 10, blockRows: 400, repeat: true });
  await take(stream, 399);
  const { start } = documents;
  assert.equal(stream.cursor, {
    epoch: 0,
    place: start,
    pair: 0,
    row: 0,
    emitted: 399,
    skipped: 0,
    blockEpochs: 2,
  });
  await stream.next();
  const { place, ...others } = stream.cursor;
  assert.equal(others, { epoch: 0, pair: 4000, row: 400, emitted: 0, skipped: 0, blockEpochs: 2 });
  assert.equal(
    place.sources.map(({ at }) => at),
    [{ index: 0, byteOffset: 0, line: 1 }],
  );
  assert.ok(JSON.stringify(stream.cursor).length < 400);
});

test('the ends: no rows, then none again', async () => {
  const stream = streamOf(await linesOf(['abc']), { sequence: 8, blockRows: 3 });
  assert.is((await take(stream)).length, 1);
  assert.is(await stream.next(), undefined);
  assert.is(await stream.next(), undefined);
  assert.is(await streamOf(await linesOf(['']), {}).next(), undefined);
});

test('a stream that would repeat nothing for ever is refused', async () => {
  const message = await inputErrorOf(async () => streamOf(await linesOf(['', '']), { repeat: true }).next());
  assert.match(
    message,
    /^expected a document with something to learn, found none; .*:2: expected two tokens or more, found 1; leave it out$/,
  );
});

test('documents that become empty between two epochs end the stream as well', async () => {
  let epoch = 0;
  const vanishing: DocumentSource = {
    start: START,
    async *read() {
      yield { id: 'memory', example: epoch++ === 0 ? 'abcd' : '', place: MEMORY, number: [0, 0, 0], pass: 0 };
      return START;
    },
  };
  const stream = streamOf(vanishing, { repeat: true });
  assert.is(show((await stream.next())!), '<a0 ab1 bc2 cd3');
  assert.match(
    await inputErrorOf(() => stream.next()),
    /found none; memory: expected two tokens or more, found 1; leave it out$/,
  );
});

test('a cursor into documents that changed is refused', async () => {
  const options = { sequence: 2, repeat: true };
  const stream = streamOf(await linesOf(['ab', 'cdefgh']), options);
  await take(stream, 3);
  assert.is(stream.cursor.place.sources[0]!.at!.line, 2);
  const next = async (texts: string[]) => streamOf(await linesOf(texts), options, stream.cursor).next();
  assert.is(show((await next(['ab', 'cdefgh']))!), 'fg0 gh1');
  assert.match(
    await inputErrorOf(() => next(['ab', 'cde'])),
    /lines\.jsonl: expected the file that the run began with \(size and hash \d+-\w+\), found \d+-\w+; restore/,
  );
});

test('a cursor into a document that became shorter, or is gone, is refused', async () => {
  const options = { sequence: 2, repeat: true };
  let texts = ['abcdefgh'];
  const changing: DocumentSource = {
    start: START,
    async *read() {
      for (const text of texts)
        yield { id: 'memory', example: text, place: MEMORY, number: [0, 0, 0], pass: 0 };
      return START;
    },
  };
  const stream = streamOf(changing, options);
  await take(stream, 2);
  const next = () => streamOf(changing, options, stream.cursor).next();
  assert.is(show((await next())!), 'de0 ef1');
  texts = ['abc'];
  assert.match(await inputErrorOf(next), /5 tokens or more.*found memory with 4 tokens; restore/);
  texts = [];
  assert.match(await inputErrorOf(next), /expected the document of the checkpoint.*found no document/);
});

test('skipped documents are told once, by the first row after them, wherever the stream is resumed', async () => {
  const lines = Array.from({ length: 30 }, (_, i) =>
    i % 4 === 1 ? '{' : `{"text":"${'x'.repeat(1 + (i % 7))}"}`,
  );
  const path = put('skipped.jsonl', lines.join('\n'));
  const documents = await openDocuments({ paths: [path], onBad: 'skip' });
  const options = { sequence: 3, blockRows: 4, repeat: true, seed: 2 };
  const { rows, cursors } = await record(streamOf(documents, options), 60);
  const told = rows.flatMap(({ skipped = [] }) => skipped);
  assert.equal(
    told.map((message) => Number(/line (\d+)/.exec(message)![1])),
    [2, 6, 10, 14, 18, 22, 26, 30],
  );
  assert.is(cursors.at(-1)!.skipped, 8, 'not again in the second epoch');
  assert.ok(cursors.at(-1)!.epoch > 0);
  for (const [i, cursor] of cursors.entries()) {
    const resumed = await record(streamOf(documents, options, cursor), 60 - i);
    assert.equal(resumed.rows, rows.slice(i));
    assert.equal(resumed.cursors, cursors.slice(i));
  }
});

test('a row lists the first hundred skipped documents; all are counted', async () => {
  const path = put('many.jsonl', `${'{\n'.repeat(250)}${jsonl(['abc'])}`);
  const stream = streamOf(await openDocuments({ paths: [path], onBad: 'skip' }), {});
  assert.is((await stream.next())!.skipped!.length, 100);
  assert.is(stream.cursor.skipped, 250);
});

test.run();
