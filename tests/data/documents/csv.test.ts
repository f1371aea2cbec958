import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { assertRestarts, Library, open, problemOf, read, textsOf } from './support.js';

const library = new Library('csv');
const put = library.put.bind(library);

test('a .csv file is one document a record, as RFC 4180 has them', async () => {
  const path = put(
    'a.csv',
    '\ufeffid,text\r\n1,plain\r\n\r\n2,"two, lines\r\nand ""quotes"""\r\n3,\r\n"4",""',
  );
  const found = await read(await open(path));
  assert.equal(
    found.map(({ id, text }) => [id, text]),
    [
      [`${path}:2`, 'plain'],
      [`${path}:4`, 'two, lines\r\nand "quotes"'],
      [`${path}:6`, ''],
      [`${path}:7`, ''],
    ],
  );
  await assertRestarts(path);
});

test('any table gives its column back, and restarts at any record', async () => {
  const character = fc.constantFrom('a', 'é', '😀', ',', '"', '\n', '\r\n', ' ', '\\', ';');
  const field = fc.string({ unit: character, maxLength: 6 });
  const quoted = (text: string) => `"${text.replaceAll('"', '""')}"`;
  const written = (text: string, always: boolean) => (always || /[",\n\r]/.test(text) ? quoted(text) : text);
  const check = async (rows: [string, string, string][], always: boolean, end: string, column: number) => {
    const names = ['first, one', 'a.b', 'text'];
    const lines = [names, ...rows].map((fields) => fields.map((text) => written(text, always)).join(','));
    const path = put('any.csv', lines.join(end) + (always ? end : ''));
    const options = { textColumn: names[column]! };
    assert.equal(
      await textsOf(path, options),
      rows.map((fields) => fields[column]),
    );
    await assertRestarts(path, options);
  };
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(field, field, field), { minLength: 1, maxLength: 6 }),
      fc.boolean(),
      fc.constantFrom('\n', '\r\n'),
      fc.nat(2),
      check,
    ),
    { seed: 2, numRuns: 120 },
  );
});

test('records and quotes across the edges of the reads are found', async () => {
  for (let offset = -3; offset <= 3; offset++) {
    const first = 'x'.repeat(2 ** 20 - 'text\n"'.length + offset);
    const path = put('edge.csv', `text\n"${first}"""\n"b\n""c"\nd\n`);
    assert.equal(
      (await textsOf(path)).map((text) => text.slice(-4)),
      ['xxx"', 'b\n"c', 'd'],
      `offset ${offset}`,
    );
  }
});

const BROKEN: [string, string, RegExp][] = [
  [
    'a missing column',
    'id,story\n1,a\n',
    /: expected messages, prompt and completion, or text, found none \(columns: id, story\)/,
  ],
  [
    'too few fields',
    'id,text\n1,a\n2\n',
    /: line 3, byte 12: expected 2 fields as in the header, found 1; mend/,
  ],
  ['too many fields', 'id,text\n1,a,b\n', /: line 2, byte 8: expected 2 fields as in the header, found 3/],
  ['a quote inside', 'id,text\n1,5" disk\n', /: line 2, byte 8: expected quotes around the whole field/],
  [
    'something after quotes',
    'id,text\n1,"a" b\n',
    /: line 2, byte 8: expected a comma after the quoted field/,
  ],
  [
    'quotes without end',
    'id,text\n1,a\n2,"b\n3,c\n',
    /: line 3, byte 12: expected a quote at the end of the field/,
  ],
  ['a broken header', 'id,"text\n', /: .*expected a quote at the end of the field/],
  ['a header in quotes that are wrong', 'i"d,text\n1,a\n', /: expected quotes around the whole field/],
  ['a header alone', 'id,text\n', /: expected at least one document, found none/],
  ['nothing', '\n\n', /: expected at least one document, found none/],
];

for (const [what, content, expected] of BROKEN) {
  test(`refused with path and place: ${what}`, async () => {
    const path = put('x.csv', content);
    const message = await problemOf(path);
    assert.ok(message.startsWith(`${path}: `), message);
    assert.match(message, expected);
  });
}

test('invalid UTF-8 is found by line and byte', async () => {
  const path = put('latin.csv', Buffer.from('id,text\n1,a\n2,"b\nc\xe9d"\n', 'latin1'));
  assert.match(await problemOf(path), /: line 4, byte 19: expected UTF-8/);
});

test('a broken record can be skipped, also one with a stray quote', async () => {
  const path = put('skip.csv', 'id,text\n1,a\n2,5" disk\n3\n4,"b"c\n5,d\n');
  const skipped: string[] = [];
  const found = await read(await open(path, { onBad: 'skip' }), undefined, skipped);
  assert.equal(
    found.map(({ text }) => text),
    ['a', 'd'],
  );
  assert.equal(
    skipped.map((message) => /line (\d+)/.exec(message)![1]),
    ['3', '4', '5'],
  );
  await assertRestarts(path, { onBad: 'skip' });
});

test('tabs between the fields of a .tsv file; commas are text', async () => {
  const content = 'id\ttext\n1\ta, b\n2\t"c\td ""e""\nf"\n';
  assert.equal(await textsOf(library.put('a.tsv', content)), ['a, b', 'c\td "e"\nf']);
  assert.match(
    await problemOf(library.put('bad.tsv', 'id\ttext\n1\ta\tb\n')),
    /bad\.tsv: line 2, byte 8: expected 2 fields as in the header, found 3/,
  );
  assert.match(
    await problemOf(library.put('quote.tsv', 'text\tid\n"a",1\n')),
    /expected a tab after the quoted field/,
  );
});

test.run();
