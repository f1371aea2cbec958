import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { assertRestarts, jsonl, Library, open, problemOf, read, textsOf } from './support.js';

const library = new Library('json');
const put = library.put.bind(library);

test('a .json file is one document an element', async () => {
  const path = put(
    'a.json',
    '\ufeff \n[ {"text": "a", "n": [1, {"x": "]}"}]},\n\n{"text":"b\\"]"} ,{"text":""}]\n ',
  );
  const found = await read(await open(path));
  assert.equal(
    found.map(({ id, text }) => [id, text]),
    [
      [`${path}[0]`, 'a'],
      [`${path}[1]`, 'b"]'],
      [`${path}[2]`, ''],
    ],
  );
  await assertRestarts(path);
});

test('any array gives the texts of its elements, however it is spaced, and restarts anywhere', async () => {
  const space = fc.string({ unit: fc.constantFrom(' ', '\n', '\t', '\r'), maxLength: 3 });
  const record = fc.record({
    text: fc.string({ unit: 'grapheme', maxLength: 9 }),
    other: fc.jsonValue({ maxDepth: 2 }),
  });
  const check = async (records: { text: string; other: unknown }[], indent: number, gap: string) => {
    const body = records.map((value) => JSON.stringify(value, null, indent)).join(`${gap},${gap}`);
    const path = put('any.json', `${gap}[${gap}${body}${gap}]${gap}`);
    assert.equal(
      await textsOf(path),
      records.map(({ text }) => text),
    );
    await assertRestarts(path);
  };
  await fc.assert(
    fc.asyncProperty(fc.array(record, { minLength: 1, maxLength: 6 }), fc.nat(3), space, check),
    { seed: 1, numRuns: 80 },
  );
});

test('elements across the edges of the reads are found, and any length takes linear time', async () => {
  const lengths = [2 ** 20 - 30, 7, 2 ** 20, 4_000_000, 1];
  const texts = lengths.map((length, i) => `${i}\\"`.repeat(length / 4));
  const path = put('long.json', JSON.stringify(texts.map((text) => ({ text }))));
  assert.ok((await textsOf(path)).every((text, i) => text === texts[i]));
});

const BROKEN: [string, string, RegExp][] = [
  [
    'an object',
    '{"text":"a"}',
    /: line 1, byte 0: expected a JSON array of objects .*, found "\{"; one object/,
  ],
  ['lines', jsonl(['a', 'b']), /found "\{"; one object a line is \.jsonl/],
  ['no comma', '[{"text":"a"}\n{"text":"b"}]', /: line 2, byte 14: expected , or \], found "\{"/],
  ['two commas', '[{"text":"a"},,{"text":"b"}]', /: line 1, byte 14: expected an element, found ","/],
  ['a comma at the end', '[{"text":"a"},]', /: line 1, byte 14: expected an element, found "\]"/],
  ['a comma at the start', '[,{"text":"a"}]', /: line 1, byte 1: expected an element or \], found ","/],
  [
    'something after it',
    '[{"text":"a"}]\n[]',
    /: line 2, byte 15: expected nothing after the array, found "\["/,
  ],
  [
    'a cut array',
    '[{"text":"a"},\n',
    /: line 2, byte 15: expected an element, found the end of the file; is the/,
  ],
  [
    'a cut element',
    '[{"text":"a"},{"text":"b',
    /byte 24: expected , or \], found the end of the file; is the/,
  ],
  ['a cut escape', '[{"text":"b\\', /: line 1, byte \d+: expected , or \], found the end of the file/],
  ['an array without end', '[{"text":"a"}', /: line 1, byte 13: expected , or \], found the end of the file/],
  ['a broken element', '[{"text":"a"},\n{"text":tru}]', /: line 2, byte 15: expected JSON, found /],
  ['a number', '[{"text":"a"}, 3]', /: line 1, byte 15: .* found none \(the record is not an object\)/],
  ['stray brackets', '[{"text":"a"}, ]3}]', /: line 1, byte 15: expected an element, found "\]"/],
  ['no elements', '[ ]', /: expected at least one document, found none/],
  ['nothing', ' ', /: line 1, byte 1: expected a JSON array of objects .*, found the end of the file/],
];

for (const [what, content, expected] of BROKEN) {
  test(`refused with path and place: ${what}`, async () => {
    const path = put('x.json', content);
    const message = await problemOf(path);
    assert.ok(message.startsWith(`${path}: `), message);
    assert.match(message, expected);
  });
}

test('a broken element can be skipped; a broken array ends the file', async () => {
  const path = put('skip.json', '[{"text":"a"}, {"text":tru}, {"text":"b"} {"text":"c"}]');
  const next = put('next.json', '[{"text":"d"}]');
  const skipped: string[] = [];
  const found = await read(await open([path, next], { onBad: 'skip' }), undefined, skipped);
  assert.equal(
    found.map(({ text }) => text),
    ['a', 'b', 'd'],
  );
  assert.is(skipped.length, 2);
  assert.match(skipped[0]!, /skip\.json: line 1, byte 15: expected JSON/);
  assert.match(skipped[1]!, /skip\.json: line 1, byte 42: expected , or \]/);
});

test.run();
