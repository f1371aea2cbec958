import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { loadTokenizer } from '#src/data/tokenizer.js';
import { makeFixture, makeText } from '../../fixtures.js';
import { projectRoot } from '../../support.js';
import { assertRestarts, compressed, Library, open, problemOf, read, textsOf } from './support.js';

/** Documents that are given as token ids of another tokenizer. */

const { student: model } = makeFixture('token-ids');
const library = new Library('token-ids');
const put = library.put.bind(library);
const golden = (name: string) => join(projectRoot, 'tests/goldens/documents', name);
const tokenizer = await loadTokenizer(model);
const ids = { idsTokenizer: model };
/** As they are published: BOS, then the text. */
const encoded = (text: string): number[] => Array.from(tokenizer.encode(text));
const lines = (records: readonly object[]) => records.map((record) => `${JSON.stringify(record)}\n`).join('');

const reading = suite('token ids');

reading('in Parquet, in every form that a list has, are the text that they stand for', async () => {
  const texts = JSON.parse(readFileSync(golden('token-ids.json'), 'utf8')) as string[];
  for (const name of ['token-ids', 'token-ids-plain', 'token-ids-delta', 'token-ids-small']) {
    const path = golden(`${name}.parquet`);
    assert.equal(await textsOf(path, ids), texts, name);
    assert.equal(await textsOf(path, { ...ids, textColumn: 'input_ids' }), texts, name);
    await assertRestarts(path, ids);
  }
});

reading('the columns of QuRatedPajama: its text without a tokenizer, its ids with one', async () => {
  const texts = JSON.parse(readFileSync(golden('token-ids.json'), 'utf8')) as string[];
  const path = golden('token-ids.parquet');
  const own = await textsOf(path);
  assert.equal(
    own.map((text) => text.replace(/^ /, '')),
    texts,
  );
  assert.equal(await textsOf(path, { ...ids, textColumn: 'text' }), own);
});

reading('are shared out to ranks, one file by its rows', async () => {
  const path = golden('token-ids.parquet');
  const parts = [0, 1, 2].map(async (index) => textsOf(path, { ...ids, rank: { index, count: 3 } }));
  assert.equal((await Promise.all(parts)).flat().sort(), (await textsOf(path, ids)).sort());
});

reading('null lists, empty ones and nulls in them are bad documents, and not the others', async () => {
  const path = golden('token-ids-nulls.parquet');
  assert.match(
    await problemOf(path, ids),
    /token-ids-nulls\.parquet: row 1: expected token ids, found none; delete the record/,
  );
  const skipped: string[] = [];
  const found = await read(await open(path, { ...ids, onBad: 'skip' }), undefined, skipped);
  assert.equal(
    found.map(({ id }) => id.replace(/.*\[/, '[')),
    ['[0]', '[4]'],
  );
  assert.equal(
    skipped.map((message) => /row (\d): (.*?);/.exec(message)!.slice(1)),
    [
      ['1', 'expected token ids, found none'],
      ['2', 'expected token ids, found none'],
      [
        '3',
        `expected token ids of ${model}, from 0 to ${tokenizer.vocabularySize - 1}, found null as number 1`,
      ],
    ],
  );
});

reading('in lines, arrays, compressed files and fields of CSV', async () => {
  const texts = Array.from({ length: 12 }, (_, i) => makeText(i, 5 + i).trim());
  const records = texts.map((text) => ({ other: 1, input_ids: encoded(text), text: 'not this' }));
  const csv = records.map(({ input_ids }) => `"${JSON.stringify(input_ids)}",x\n`).join('');
  const paths = [
    put('a.jsonl', lines(records)),
    put('a.json', JSON.stringify(records)),
    put('a.jsonl.zst', compressed('zst', lines(records), [200, 300])),
    put('a.csv', `input_ids,text\n${csv}`),
  ];
  for (const path of paths) {
    assert.equal(await textsOf(path, ids), texts, path);
    await assertRestarts(path, ids);
  }
  const named = put('named.jsonl', lines(texts.map((text) => ({ text, data: { ids: encoded(text) } }))));
  assert.equal(await textsOf(named, { ...ids, textColumn: 'data.ids' }), texts);
});

reading('what holds no ids is read as ever, so that sources can be mixed', async () => {
  const text = put('plain.txt', 'a story');
  const story = put('story.jsonl', lines([{ text: 'another' }, { input_ids: encoded('the cat') }]));
  assert.equal(await textsOf([text, story], ids), ['a story', 'another', 'the cat']);
});

reading('special tokens are no text, and what is encoded anew is the text', async () => {
  const [bos, eos] = [tokenizer.bosId!, tokenizer.eosId!];
  const path = put('special.jsonl', lines([{ input_ids: [bos, ...encoded('the dog').slice(1), eos] }]));
  assert.equal(await textsOf(path, ids), ['the dog']);
});

reading.run();

const wrong = suite('wrong ids');

const refused = (input: unknown, what: string) =>
  wrong(`${JSON.stringify(input)} is told`, async () => {
    const path = put('wrong.jsonl', lines([{ input_ids: [4, 5] }, { input_ids: input }]));
    const message = await problemOf(path, ids);
    assert.match(message, /wrong\.jsonl: line 2, byte 20: /);
    assert.ok(message.includes(what), message);
    const skipping = { ...ids, onBad: 'skip' as const };
    assert.is((await textsOf(path, skipping)).length, 1);
  });

const last = tokenizer.vocabularySize - 1;
const range = `expected token ids of ${model}, from 0 to ${last}, found `;
refused([4, last + 1], `${range}${last + 1} as number 1; give the model that the ids were made with`);
refused([-1], `${range}-1 as number 0;`);
refused([4, 1.5], `${range}1.5 as number 1;`);
refused(['4'], `${range}"4" as number 0;`);
refused([4, null], `${range}null as number 1;`);
refused([4, 4294967296], `${range}4294967296 as number 1;`);
refused([], 'expected token ids, found none; delete the record');

wrong('ids without their tokenizer are told, in lines and in Parquet, named and not', async () => {
  const advice =
    /found token ids in column "input_ids"; give the model that they were made with as --ids-tokenizer$/;
  const path = put('nobody.jsonl', lines([{ input_ids: [4, 5] }]));
  for (const file of [path, golden('token-ids-plain.parquet')]) {
    assert.match(await problemOf(file), advice, file);
    assert.match(await problemOf(file, { textColumn: 'input_ids' }), advice, file);
  }
  assert.match(await problemOf(golden('token-ids.parquet'), { textColumn: 'input_ids' }), advice);
  // Other lists of numbers are no less a list.
  assert.match(
    await problemOf(golden('token-ids.parquet'), { ...ids, textColumn: 'writing_style_chunks' }),
    /in column "writing_style_chunks", found a value of another type/,
  );
});

wrong('a model that is none, and a folder without a tokenizer', async () => {
  const path = put('right.jsonl', lines([{ input_ids: [4, 5] }]));
  assert.match(
    await problemOf(path, { idsTokenizer: join(library.folder, 'nowhere') }),
    /expected a model's folder/,
  );
  assert.match(await problemOf(path, { idsTokenizer: library.folder }), /tokenizer\.json/);
});

wrong('a damaged page is an error and no other text', async () => {
  const bytes = readFileSync(golden('token-ids-delta.parquet'));
  let told = 0;
  for (let at = 4; at < bytes.length - 8; at += 97) {
    const damaged = Buffer.from(bytes);
    damaged[at]! ^= 0x55;
    writeFileSync(join(library.folder, 'damaged.parquet'), damaged);
    try {
      await textsOf(join(library.folder, 'damaged.parquet'), ids);
    } catch (error) {
      assert.is((error as Error).name, 'InputError', `${at}: ${(error as Error).stack}`);
      told++;
    }
  }
  assert.ok(told > 10, `${told} told`);
});

wrong.run();
