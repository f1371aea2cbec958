import { appendFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { inputErrorOf } from '../inputErrors.js';
import { sharedPath } from '../support.js';
import {
  assertRestarts,
  jsonl,
  Library,
  open,
  problemOf,
  read,
  textOf,
  textsOf,
} from './documents/support.js';

/** Text and lines; the other formats, and what sources do together, are in documents/. */

const library = new Library('documents');
const put = library.put.bind(library);

const positions = async (path: string, separator?: string) =>
  (await read(await open(path, separator === undefined ? {} : { separator }))).map(
    ({ place }) => place.sources[0]!.at,
  );

test('a .txt file is one document, to the last character', async () => {
  const path = put('whole.txt', 'first\n\nsecond é€😀\n');
  const [document, ...others] = await read(await open(path));
  assert.is(document!.id, `${path}:1`);
  assert.is(document!.text, 'first\n\nsecond é€😀\n');
  assert.equal(others, []);
});

test('a separator splits .txt files and is in no document', async () => {
  const path = put('split.txt', '<|end|>one\ntwo<|end|> \n <|end|>é three\n<|end|>\nfour');
  assert.equal(await textsOf(path, { separator: '<|end|>' }), ['one\ntwo', 'é three\n', '\nfour']);
  assert.equal(await positions(path, '<|end|>'), [
    { index: 0, byteOffset: 7, line: 1 },
    { index: 1, byteOffset: 31, line: 3 },
    { index: 2, byteOffset: 47, line: 4 },
  ]);
});

test('line breaks of a separator are found as \\n and as \\r\\n', async () => {
  const path = put('windows.txt', 'one\r\ntwo\r\n\r\nthree\r\n\r\n\r\nfour\n\nfive\r\n');
  const between = ['one\r\ntwo', 'three', '\r\nfour', 'five\r\n'];
  assert.equal(await textsOf(path, { separator: '\n\n' }), between);
  await assertRestarts(path, { separator: '\n\n' });
  const lines = ['one', 'two', 'three', 'four', 'five'];
  assert.equal(await textsOf(path, { separator: '\n' }), lines);
  assert.equal(await textsOf(path, { separator: '\r\n\r\n' }), [
    'one\r\ntwo',
    'three',
    '\r\nfour\n\nfive\r\n',
  ]);
});

test('a .jsonl file is one document a line, from the column asked for', async () => {
  const path = put(
    'lines.jsonl',
    '{"text":"a\\nb","n":1}\r\n\n  \n{"text":"","story":"c"}\n{"n":1,"text":"😀"}',
  );
  const found = await read(await open(path));
  assert.equal(
    found.map(({ id, text }) => [id, text]),
    [
      [`${path}:1`, 'a\nb'],
      [`${path}:4`, ''],
      [`${path}:5`, '😀'],
    ],
  );
  const stories = put('stories.jsonl', '{"text":1,"story":"c"}\n');
  assert.equal(await textsOf(stories, { textColumn: 'story' }), ['c']);
});

test('a column may be nested; one that is named so as a whole wins', async () => {
  const path = put(
    'nested.jsonl',
    ['{"a":{"b":"in"}}', '{"a":{"b":"in"},"a.b":"whole"}', '{"a":[{"b":"x"},{"b":"list"}],"a.b":"w"}'].join(
      '\n',
    ),
  );
  assert.equal(await textsOf(path, { textColumn: 'a.b' }), ['in', 'whole', 'w']);
  const list = put('list.jsonl', '{"turns":[{"text":"x"},{"text":"y"}]}');
  assert.equal(await textsOf(list, { textColumn: 'turns.1.text' }), ['y']);
  assert.match(
    await problemOf(path, { textColumn: 'a.c' }),
    /messages in column "a\.c", found none \(columns: a\)/,
  );
});

test('a byte order mark at the start of a file is no text; later ones are', async () => {
  const plain = put('mark.txt', '\ufeffone\ufefftwo');
  const lines = put('mark.jsonl', `\ufeff${jsonl(['\ufeffa', 'b'])}`);
  assert.equal(await textsOf([plain, lines]), ['one\ufefftwo', '\ufeffa', 'b']);
  assert.equal(await textsOf(put('cut.txt', 'a|\ufeffb'), { separator: '|' }), ['a', '\ufeffb']);
  await assertRestarts([plain, lines]);
});

test('paths are read in the order given, also twice', async () => {
  const a = put('a.txt', 'A');
  const b = put('b.jsonl', jsonl(['B', 'C']));
  assert.equal(await textsOf([b, a, b]), ['B', 'C', 'A', 'B', 'C']);
  await assertRestarts([b, a, b]);
});

test('separators that lie across the edges of the reads are found', async () => {
  const chunk = 1024 * 1024;
  for (let offset = -4; offset <= 1; offset++) {
    const first = 'x'.repeat(chunk + offset);
    const path = put('edge.txt', `${first}€€€y€€€${'z'.repeat(2 * chunk)}€€`);
    const found = await textsOf(path, { separator: '€€€' });
    assert.ok(found[0] === first, `offset ${offset}`);
    assert.equal(
      found.slice(1).map((text) => text.length),
      [1, 2 * chunk + 2],
    );
  }
});

test('lines longer than the reads keep their text and place', async () => {
  const lengths = [3_000_000, 10, 1_048_576 - 11, 5_000_000, 0];
  const path = put('long.jsonl', jsonl(lengths.map((length, i) => String(i).repeat(length))));
  const found = await read(await open(path));
  assert.equal(
    found.map(({ text }) => text.length),
    lengths,
  );
  assert.ok(found.every(({ text }, i) => text === String(i).repeat(lengths[i]!)));
  const places = await positions(path);
  assert.equal(
    places.map((at) => at?.line),
    [1, 2, 3, 4, 5],
  );
  assert.is(
    places[4]!.byteOffset,
    lengths.slice(0, 4).reduce((sum, length) => sum + length + 12, 0),
  );
});

/** As `split`, by the separator with line breaks of either kind. */
const partsOf = (text: string, separator: string) => {
  const forms = [separator.replaceAll('\n', '\r\n'), separator];
  return text.split(new RegExp(forms.map((form) => form.replaceAll('|', '\\|')).join('|')));
};

test('reading restarts at any document', async () => {
  const character = fc.constantFrom('a', 'é', '€', '😀', '\n', '\r\n', ' ', '|', '"', '\\');
  const body = fc.string({ unit: character, maxLength: 8 });
  const someText = fc
    .array(body, { minLength: 1, maxLength: 5 })
    .filter((parts) => parts.join('').trim() !== '');
  const file = fc.record({ isJsonl: fc.boolean(), parts: someText });
  const check = async (files: { isJsonl: boolean; parts: string[] }[], separator: string | undefined) => {
    const paths = files.map(({ isJsonl, parts }, i) =>
      isJsonl ? put(`p${i}.jsonl`, jsonl(parts)) : put(`p${i}.txt`, `${parts.join('|')}a`),
    );
    const options = separator === undefined ? {} : { separator };
    await assertRestarts(paths, options);
    const expected = files.flatMap(({ isJsonl, parts }) => {
      if (isJsonl) return parts;
      const text = `${parts.join('|')}a`;
      return separator ? partsOf(text, separator).filter((part) => part.trim() !== '') : [text];
    });
    assert.equal(await textsOf(paths, options), expected);
  };
  await fc.assert(
    fc.asyncProperty(
      fc.array(file, { minLength: 1, maxLength: 3 }),
      fc.constantFrom(undefined, '|', '||', 'é|', '\n', '\n\n', '\na'),
      check,
    ),
    { seed: 3, numRuns: 60 },
  );
});

const latin = (text: string) => Buffer.from(text, 'latin1');

const BROKEN: [string, string, string | Uint8Array, RegExp][] = [
  ['a broken line', 'x.jsonl', '{"text":"a"}\n\n{"text":"b"\n', /: line 3, byte 14: expected JSON, found /],
  ['a cut last line', 'x.jsonl', '{"text":"a"}\n{"te', /: line 2, byte 13: expected JSON, found /],
  [
    'a missing column',
    'x.jsonl',
    '{"story":"a","n":1}\n',
    /: line 1, byte 0: expected messages, prompt and completion, or text, found none \(columns: story, n\); set --text-column/,
  ],
  [
    'a column of another type',
    'x.jsonl',
    '{"text":"a"}\n{"text":[1]}',
    /: line 2, byte 13: .*another type \(a list\)/,
  ],
  ['a null column', 'x.jsonl', '{"text":null}', /: line 1, byte 0: .*another type \(null\)/],
  ['an inherited column', 'x.jsonl', '{}', /found none \(columns: none\)/],
  ['a line that is a list', 'x.jsonl', '["text"]', /found none \(the record is not an object\)/],
  ['a line that is null', 'x.jsonl', 'null', /found none \(the record is not an object\)/],
  ['a stray byte', 'x.txt', latin('one\ntwo \xff three'), /: line 2, byte 8: expected UTF-8/],
  [
    'a cut character at the end',
    'x.txt',
    Buffer.from('one\n€').subarray(0, 6),
    /: line 2, byte 6: expected UTF-8/,
  ],
  [
    'a character cut by a line end',
    'x.jsonl',
    latin('{"text":"a"}\n{"\xe2\x82\n'),
    /: line 2, byte 17: expected UTF-8/,
  ],
  ['an overlong encoding', 'x.jsonl', latin('\n{"text":"\xc0\xaf"}\n'), /: line 2, byte 10: expected UTF-8/],
  ['a surrogate in UTF-8', 'x.txt', latin('ab\xed\xa0\x80'), /: line 1, byte 3: expected UTF-8/],
  [
    'white space alone',
    'x.txt',
    ' \n\t\n',
    /: expected at least one document, found none; leave the file out/,
  ],
  ['a mark alone', 'x.jsonl', '\ufeff\n', /: expected at least one document/],
];

for (const [what, name, content, expected] of BROKEN) {
  test(`refused with path and place: ${what}`, async () => {
    const path = put(name, content);
    const message = await problemOf(path);
    assert.ok(message.startsWith(`${path}: `), message);
    assert.match(message, expected);
  });
}

test('invalid bytes far into a file are found', async () => {
  const start = `${'é\n'.repeat(700_000)}`;
  const path = put('far.txt', Buffer.concat([Buffer.from(start), Buffer.from([0x80]), Buffer.from(start)]));
  assert.match(await problemOf(path), /: line 700001, byte 2100000: expected UTF-8/);
});

test('a column name may be one that objects inherit', async () => {
  const path = put('inherited.jsonl', '{"text":"a"}');
  assert.match(
    await problemOf(path, { textColumn: 'constructor' }),
    /column "constructor", found none \(columns: text\)/,
  );
});

test('paths that cannot work are refused before anything is read', async () => {
  mkdirSync(join(library.folder, 'sub.txt'));
  const good = put('good.txt', 'x');
  const cases: [string[], RegExp][] = [
    [[], /expected at least one path of text/],
    [[good, join(library.folder, 'absent.txt')], /absent\.txt: expected a text file, found nothing; check/],
    [
      [join(library.folder, 'sub.txt')],
      /sub\.txt: expected text files \(\.txt, .*\), found none in the folder; check/,
    ],
    [[put('empty.jsonl', '')], /empty\.jsonl: expected text, found an empty file; leave it out/],
    [[put('table.xml', 'x')], /table\.xml: expected a name that ends in \.txt, .*, found \.xml; convert it/],
    [[put('bare', 'x')], /bare: expected a name that ends in .*, found no ending/],
  ];
  for (const [paths, expected] of cases) assert.match(await inputErrorOf(() => open(paths)), expected);
});

test('a file may grow while it is read', async () => {
  const path = put('grow.jsonl', jsonl(['a', 'b']));
  const found: string[] = [];
  for await (const item of (await open(path)).read()) {
    if ('example' in item) found.push(textOf(item));
    if (found.length === 1) appendFileSync(path, jsonl(['c']));
  }
  assert.equal(found, ['a', 'b', 'c']);
});

const arxiv = sharedPath('data/text/redpajama_arxiv_sample.jsonl');
(arxiv ? test : test.skip)('a real .jsonl file is read', async () => {
  const found = await textsOf(arxiv!);
  assert.is(found.length, 20);
  assert.is(found[0]!.length, 83_534);
});

test.run();
