import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Document, type DocumentSource, holdOut, openDocuments } from '#src/data/documents.js';
import { inputErrorOf } from '../inputErrors.js';
import { sharedPath, temporaryFolder } from '../support.js';

const folder = temporaryFolder('documents');

function put(name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

async function all(documents: DocumentSource, place?: Document['place']): Promise<Document[]> {
  const found: Document[] = [];
  for await (const document of documents.read(place)) found.push(document);
  return found;
}

const texts = async (documents: DocumentSource) => (await all(documents)).map(({ text }) => text);
const jsonl = (values: string[]) => values.map((text) => `${JSON.stringify({ text })}\n`).join('');
/** A source of ready texts. */
const listOf = (values: string[]): DocumentSource => ({
  async *read(place) {
    for (const [i, text] of values.entries()) {
      if (place && i < place.byteOffset) continue;
      yield { id: `memory:${i}`, text, source: 0, place: { source: 0, byteOffset: i, line: 1 } };
    }
  },
});

test('a .txt file is one document, to the last character', async () => {
  const path = put('whole.txt', 'first\n\nsecond é€😀\n');
  const place = { source: 0, byteOffset: 0, line: 1 };
  assert.equal(await all(openDocuments({ paths: [path] })), [
    { id: `${path}:1`, text: 'first\n\nsecond é€😀\n', source: 0, place },
  ]);
});

test('a separator splits .txt files and is in no document', async () => {
  const path = put('split.txt', '<|end|>one\ntwo<|end|> \n <|end|>é three\n<|end|>\nfour');
  const found = await all(openDocuments({ paths: [path], separator: '<|end|>' }));
  assert.equal(
    found.map(({ text }) => text),
    ['one\ntwo', 'é three\n', '\nfour'],
  );
  assert.equal(
    found.map(({ place }) => place),
    [
      { source: 0, byteOffset: 7, line: 1 },
      { source: 0, byteOffset: 31, line: 3 },
      { source: 0, byteOffset: 47, line: 4 },
    ],
  );
});

test('a .jsonl file is one document a line, from the column asked for', async () => {
  const path = put(
    'lines.jsonl',
    '{"text":"a\\nb","n":1}\r\n\n  \n{"text":"","story":"c"}\n{"n":1,"text":"😀"}',
  );
  const found = await all(openDocuments({ paths: [path] }));
  assert.equal(
    found.map(({ id, text }) => [id, text]),
    [
      [`${path}:1`, 'a\nb'],
      [`${path}:4`, ''],
      [`${path}:5`, '😀'],
    ],
  );
  const stories = put('stories.jsonl', '{"text":1,"story":"c"}\n');
  assert.equal(await texts(openDocuments({ paths: [stories], textColumn: 'story' })), ['c']);
});

test('a byte order mark at the start of a file is no text; later ones are', async () => {
  const plain = put('mark.txt', '\ufeffone\ufefftwo');
  const lines = put('mark.jsonl', `\ufeff${jsonl(['\ufeffa', 'b'])}`);
  assert.equal(await texts(openDocuments({ paths: [plain, lines] })), ['one\ufefftwo', '\ufeffa', 'b']);
  assert.equal(await texts(openDocuments({ paths: [put('cut.txt', 'a|\ufeffb')], separator: '|' })), [
    'a',
    '\ufeffb',
  ]);
});

test('paths are read in the order given, also twice', async () => {
  const a = put('a.txt', 'A');
  const b = put('b.jsonl', jsonl(['B', 'C']));
  const found = await all(openDocuments({ paths: [b, a, b] }));
  assert.equal(
    found.map(({ text, source }) => `${text}${source}`),
    ['B0', 'C0', 'A1', 'B2', 'C2'],
  );
});

test('separators that lie across the edges of the reads are found', async () => {
  const chunk = 1024 * 1024;
  for (let offset = -4; offset <= 1; offset++) {
    const first = 'x'.repeat(chunk + offset);
    const path = put('edge.txt', `${first}€€€y€€€${'z'.repeat(2 * chunk)}€€`);
    const found = await texts(openDocuments({ paths: [path], separator: '€€€' }));
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
  const found = await all(openDocuments({ paths: [path] }));
  assert.equal(
    found.map(({ text }) => text.length),
    lengths,
  );
  assert.ok(found.every(({ text }, i) => text === String(i).repeat(lengths[i]!)));
  assert.equal(
    found.map(({ place }) => place.line),
    [1, 2, 3, 4, 5],
  );
  assert.is(
    found[4]!.place.byteOffset,
    lengths.slice(0, 4).reduce((sum, length) => sum + length + 12, 0),
  );
});

test('reading restarts at any document', async () => {
  const character = fc.constantFrom('a', 'é', '€', '😀', '\n', ' ', '|', '"', '\\');
  const body = fc.string({ unit: character, maxLength: 8 });
  const someText = fc
    .array(body, { minLength: 1, maxLength: 5 })
    .filter((parts) => parts.join('').trim() !== '');
  const file = fc.record({ isJsonl: fc.boolean(), parts: someText });
  const check = async (files: { isJsonl: boolean; parts: string[] }[], separator: string | undefined) => {
    const paths = files.map(({ isJsonl, parts }, i) =>
      isJsonl ? put(`p${i}.jsonl`, jsonl(parts)) : put(`p${i}.txt`, `${parts.join('|')}a`),
    );
    const documents = openDocuments({ paths, ...(separator && { separator }) });
    const found = await all(documents);
    for (const [i, { place }] of found.entries()) {
      const saved = JSON.parse(JSON.stringify(place));
      assert.equal(await all(documents, saved), found.slice(i));
    }
    const expected = files.flatMap(({ isJsonl, parts }) => {
      if (isJsonl) return parts;
      const text = `${parts.join('|')}a`;
      return separator ? text.split(separator).filter((part) => part.trim() !== '') : [text];
    });
    assert.equal(
      found.map(({ text }) => text),
      expected,
    );
  };
  await fc.assert(
    fc.asyncProperty(
      fc.array(file, { minLength: 1, maxLength: 3 }),
      fc.constantFrom(undefined, '|', '||', 'é|'),
      check,
    ),
    { seed: 3, numRuns: 60 },
  );
});

const BROKEN: [string, string, string | Uint8Array, RegExp][] = [
  ['a broken line', 'x.jsonl', '{"text":"a"}\n\n{"text":"b"\n', /: line 3, byte 14: expected JSON, found /],
  ['a cut last line', 'x.jsonl', '{"text":"a"}\n{"te', /: line 2, byte 13: expected JSON, found /],
  [
    'a missing column',
    'x.jsonl',
    '{"story":"a","n":1}\n',
    /: line 1, byte 0: .*column "text", found none \(columns: story, n\)/,
  ],
  [
    'a column of another type',
    'x.jsonl',
    '{"text":"a"}\n{"text":[1]}',
    /: line 2, byte 13: .*another type \(object\)/,
  ],
  ['a null column', 'x.jsonl', '{"text":null}', /: line 1, byte 0: .*another type/],
  ['an inherited column', 'x.jsonl', '{}', /found none \(columns: none\)/],
  ['a line that is a list', 'x.jsonl', '["text"]', /found none \(the line is not an object\)/],
  ['a line that is null', 'x.jsonl', 'null', /found none \(the line is not an object\)/],
  ['a stray byte', 'x.txt', Buffer.from('one\ntwo \xff three', 'latin1'), /: line 2, byte 8: expected UTF-8/],
  [
    'a cut character at the end',
    'x.txt',
    Buffer.from('one\n€').subarray(0, 6),
    /: line 2, byte 6: expected UTF-8/,
  ],
  [
    'a character cut by a line end',
    'x.jsonl',
    Buffer.from('{"text":"a"}\n{"\xe2\x82\n', 'latin1'),
    /: line 2, byte 17: expected UTF-8/,
  ],
  [
    'an overlong encoding',
    'x.jsonl',
    Buffer.from('\n{"text":"\xc0\xaf"}\n', 'latin1'),
    /: line 2, byte 10: expected UTF-8/,
  ],
  [
    'a surrogate in UTF-8',
    'x.txt',
    Buffer.from('ab\xed\xa0\x80', 'latin1'),
    /: line 1, byte 3: expected UTF-8/,
  ],
  ['white space alone', 'x.txt', ' \n\t\n', /: expected at least one document, found white space alone/],
  ['a mark alone', 'x.jsonl', '\ufeff\n', /: expected at least one document/],
];

for (const [what, name, content, expected] of BROKEN) {
  test(`refused with path and place: ${what}`, async () => {
    const path = put(name, content);
    const message = await inputErrorOf(() => all(openDocuments({ paths: [path] })));
    assert.ok(message.startsWith(`${path}: `), message);
    assert.match(message, expected);
  });
}

test('invalid bytes far into a file are found', async () => {
  const start = `${'é\n'.repeat(700_000)}`;
  const path = put('far.txt', Buffer.concat([Buffer.from(start), Buffer.from([0x80]), Buffer.from(start)]));
  const message = await inputErrorOf(() => all(openDocuments({ paths: [path] })));
  assert.match(message, /: line 700001, byte 2100000: expected UTF-8/);
});

test('a column name may be one that objects inherit', async () => {
  const path = put('inherited.jsonl', '{"text":"a"}');
  const message = await inputErrorOf(() => all(openDocuments({ paths: [path], textColumn: 'constructor' })));
  assert.match(message, /column "constructor", found none \(columns: text\)/);
});

test('paths that cannot work are refused before anything is read', async () => {
  mkdirSync(join(folder, 'sub.txt'));
  const good = put('good.txt', 'x');
  const cases: [string[], RegExp][] = [
    [[], /expected at least one path of text/],
    [[good, join(folder, 'absent.txt')], /absent\.txt: expected a text file, found nothing/],
    [[join(folder, 'sub.txt')], /sub\.txt: expected a text file, found a folder/],
    [[put('empty.jsonl', '')], /empty\.jsonl: expected text, found an empty file/],
    [[put('table.csv', 'x')], /table\.csv: expected a \.txt or \.jsonl file, found \.csv/],
    [[put('bare', 'x')], /bare: expected a \.txt or \.jsonl file, found no ending/],
  ];
  for (const [paths, expected] of cases)
    assert.match(await inputErrorOf(() => openDocuments({ paths })), expected);
});

test('a file may grow while it is read', async () => {
  const path = put('grow.jsonl', jsonl(['a', 'b']));
  const found: string[] = [];
  for await (const { text } of openDocuments({ paths: [path] }).read()) {
    found.push(text);
    if (found.length === 1) appendFileSync(path, jsonl(['c']));
  }
  assert.equal(found, ['a', 'b', 'c']);
});

test('of a single document the tail is held out', async () => {
  const cases: [string, number, string, string][] = [
    ['0123456789', 0.25, '0123456', '789'],
    ['0123456789', 0.05, '012345678', '9'],
    ['ab😀cd', 0.5, 'ab', '😀cd'],
    ['ab😀cd', 0.4, 'ab', '😀cd'],
  ];
  for (const [text, fraction, training, evaluation] of cases) {
    const split = await holdOut(openDocuments({ paths: [put('single.txt', text)] }), fraction);
    assert.equal(await texts(split.training), [training]);
    assert.equal(await texts(split.evaluation), [evaluation]);
  }
  const line = await holdOut(openDocuments({ paths: [put('single.jsonl', jsonl(['0123456789']))] }), 0.2);
  assert.equal(await texts(line.evaluation), ['89']);
});

const manyTexts = Array.from({ length: 2000 }, (_, i) => `document ${i}`);

test('of several documents whole ones are held out, every one on one side', async () => {
  const { training, evaluation } = await holdOut(listOf(manyTexts), 0.05);
  const heldOut = await texts(evaluation);
  assert.ok(heldOut.length > 60 && heldOut.length < 140, `${heldOut.length}`);
  assert.equal([...(await texts(training)), ...heldOut].sort(), manyTexts.toSorted());
});

test('the choice depends on the text alone, and a larger fraction only adds to it', async () => {
  const heldOut = async (values: string[], fraction: number) =>
    texts((await holdOut(listOf(values), fraction)).evaluation);
  const few = await heldOut(manyTexts, 0.05);
  assert.equal((await heldOut(manyTexts.toReversed(), 0.05)).reverse(), few);
  assert.equal(await heldOut([...few, 'another'], 0.05), few);
  const more = new Set(await heldOut(manyTexts, 0.2));
  assert.ok(more.size > 2 * few.length && few.every((text) => more.has(text)));
});

test('either part of a split restarts at its places', async () => {
  const split = await holdOut(listOf(manyTexts.slice(0, 300)), 0.3);
  for (const part of [split.training, split.evaluation]) {
    const found = await all(part);
    const middle = found[40]!;
    assert.equal(await all(part, middle.place), found.slice(40));
  }
});

test('a split with an empty part says so', async () => {
  const split = await holdOut(listOf(['document 0', 'document 1']), 1e-9);
  assert.match(
    await inputErrorOf(() => all(split.evaluation)),
    /found none at --eval-fraction 1e-9; raise it/,
  );
  assert.is((await all(split.training)).length, 2);
  const greedy = await holdOut(listOf(['document 0', 'document 1']), 1 - 1e-9);
  assert.match(await inputErrorOf(() => all(greedy.training)), /found all of them held out .*; lower it/);
});

const stories = sharedPath('data/text/tinystories.txt');
(stories ? test : test.skip)('the held-out part of a real text is its last twentieth', async () => {
  const documents = openDocuments({ paths: [stories!] });
  const [whole] = await texts(documents);
  const { training, evaluation } = await holdOut(documents, 0.05);
  const [head] = await texts(training);
  const [tail] = await texts(evaluation);
  assert.is(head!.length, Math.floor(whole!.length * 0.95));
  assert.ok(head + tail! === whole);
});

const arxiv = sharedPath('data/text/redpajama_arxiv_sample.jsonl');
(arxiv ? test : test.skip)('a real .jsonl file is read', async () => {
  const found = await texts(openDocuments({ paths: [arxiv!] }));
  assert.is(found.length, 20);
  assert.is(found[0]!.length, 83_534);
});

test.run();
