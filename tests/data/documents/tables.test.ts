import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { localFiles } from '#src/data/documents/files.js';
import { readTable } from '#src/data/documents/tables.js';
import { inputErrorOf } from '../../inputErrors.js';
import { temporaryFolder } from '../../support.js';

/** Files as records with all of their fields. */

const folder = temporaryFolder('tables');
const put = (name: string, content: string | Uint8Array): string => {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
};
const tableOf = (path: string) => readTable(localFiles(path)[0]!);
const valuesOf = async (path: string) => (await tableOf(path)).map(({ value }) => value);

const tests = suite('a table');

tests('of JSON, a record a line', async () => {
  const path = put('a.jsonl', '{"a":1,"b":["x",null]}\n\n \n{"a":{"c":true}}');
  assert.equal(await tableOf(path), [
    { value: { a: 1, b: ['x', null] }, place: `${path}:1` },
    { value: { a: { c: true } }, place: `${path}:4` },
  ]);
  assert.equal(await valuesOf(put('a.ndjson.gz', gzipSync('{"a":2}\n'))), [{ a: 2 }]);
});

tests('of CSV and TSV, every field a text', async () => {
  const path = put('a.csv', '\ufeffname,what\r\n"one, ""two""\nthree",\r\n\r\n4,5\n');
  assert.equal(await tableOf(path), [
    { value: { name: 'one, "two"\nthree', what: '' }, place: `${path}:2` },
    { value: { name: '4', what: '5' }, place: `${path}:5` },
  ]);
  assert.equal(await valuesOf(put('a.tsv', 'x\ty\n1,2\t3\n')), [{ x: '1,2', y: '3' }]);
});

tests('of Parquet, with numbers and lists in groups', async () => {
  const file = parquetWriteBuffer({
    columnData: [
      { name: 'text', data: ['é', 'b', 'c'], type: 'STRING' },
      { name: 'number', data: [3n, -1n, 2n ** 40n], type: 'INT64' },
      { name: 'small', data: [1, 2, 3], type: 'INT32' },
    ],
    rowGroupSize: 2,
  });
  const path = put('a.parquet', new Uint8Array(file));
  assert.equal(await tableOf(path), [
    { value: { text: 'é', number: 3, small: 1 }, place: `${path}[0]` },
    { value: { text: 'b', number: -1, small: 2 }, place: `${path}[1]` },
    { value: { text: 'c', number: 2 ** 40, small: 3 }, place: `${path}[2]` },
  ]);
});

tests('that is damaged or none is an error with its place', async () => {
  const parquet = parquetWriteBuffer({ columnData: [{ name: 'n', data: [2n ** 60n], type: 'INT64' }] });
  const cut = new Uint8Array(parquet).subarray(10);
  for (const [name, content, message] of [
    [
      'b.jsonl',
      '{"a":1}\n{"a":',
      /b\.jsonl:2: expected a JSON object on the line, found "\{\\"a\\":"; mend the line$/,
    ],
    ['b.csv', 'a,b\n1,2\n1\n', /b\.csv:3: expected 2 fields as in the header, found 1; /],
    ['c.csv', 'a,a\n1,2\n', /c\.csv:1: expected a name for each column, found "a" twice; mend the header$/],
    ['d.csv', 'a,b\n"1,2\n', /d\.csv:2: expected a quote at the end of the field, /],
    ['b.parquet', cut, /b\.parquet: /],
    [
      'c.parquet',
      new Uint8Array(parquet),
      /c\.parquet: expected whole numbers below 2\^53, found 1152921504606846976; /,
    ],
    [
      'b.txt',
      'a',
      /b\.txt: expected a table in \.jsonl, \.ndjson, \.csv, \.tsv, \.parquet, found a file in \.txt; convert it$/,
    ],
  ] as const) {
    assert.match(await inputErrorOf(() => tableOf(put(name, content))), message);
  }
});

tests.run();
