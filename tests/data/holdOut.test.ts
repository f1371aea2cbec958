import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { DocumentSource, Place } from '#src/data/documents.js';
import { type Example, fractionOf } from '#src/data/examples.js';
import { holdOut } from '#src/data/holdOut.js';
import { inputErrorOf } from '../inputErrors.js';
import { sharedPath } from '../support.js';
import { jsonl, Library, open, read } from './documents/support.js';

const library = new Library('holdOut');

const texts = async (documents: DocumentSource) => (await read(documents)).map(({ text }) => text);
const placeOf = (index: number): Place => ({
  files: [],
  sources: [{ pass: 0, file: 0, content: '', at: { index, byteOffset: 0, line: 1 } }],
  taken: [0],
});

/** A source of ready examples. */
const listOf = (values: readonly Example[]): DocumentSource => ({
  start: placeOf(0),
  async *read(place) {
    for (let i = place?.sources[0]?.at?.index ?? 0; i < values.length; i++) {
      yield { id: `memory:${i}`, example: values[i]!, place: placeOf(i), number: [0, 0, i], pass: 0 };
    }
    return placeOf(0);
  },
});

test('of a single document the tail is held out', async () => {
  const cases: [string, number, string, string][] = [
    ['0123456789', 0.25, '0123456', '789'],
    ['0123456789', 0.05, '012345678', '9'],
    ['ab😀cd', 0.5, 'ab', '😀cd'],
    ['ab😀cd', 0.4, 'ab', '😀cd'],
  ];
  for (const [text, fraction, training, evaluation] of cases) {
    const split = await holdOut(await open(library.put('single.txt', text)), fraction);
    assert.equal(await texts(split.training), [training]);
    assert.equal(await texts(split.evaluation), [evaluation]);
  }
  const line = await holdOut(await open(library.put('single.jsonl', jsonl(['0123456789']))), 0.2);
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

test('either part of a split restarts at its places, and says where the next epoch starts', async () => {
  const split = await holdOut(listOf(manyTexts.slice(0, 300)), 0.3);
  for (const part of [split.training, split.evaluation]) {
    const found = await read(part);
    const middle = found[40]!;
    assert.equal(await read(part, middle.place), found.slice(40));
    const items = part.read(found.at(-1)!.place);
    await items.next();
    assert.equal(await items.next(), { done: true, value: placeOf(0) });
  }
});

test('what was skipped is told by both parts, and is no document', async () => {
  const path = library.put('bad.jsonl', `${jsonl(['0123456789'])}{\n`);
  const split = await holdOut(await open(path, { onBad: 'skip' }), 0.2);
  for (const [part, text] of [
    [split.training, '01234567'],
    [split.evaluation, '89'],
  ] as const) {
    const skipped: string[] = [];
    assert.equal(
      (await read(part, undefined, skipped)).map((document) => document.text),
      [text],
    );
    assert.is(skipped.length, 1);
  }
});

test('of two documents or more one is held out and one remains, whatever the fraction', async () => {
  for (let count = 2; count <= 12; count++) {
    const values = manyTexts.slice(100 * count, 101 * count);
    const sorted = values.toSorted((a, b) => fractionOf(a) - fractionOf(b));
    for (const fraction of [1e-9, 0.05, 0.5, 0.95, 1 - 1e-9]) {
      const { training, evaluation } = await holdOut(listOf(values), fraction);
      const below = sorted.filter((text) => fractionOf(text) < fraction).length;
      const heldOut = Math.min(Math.max(1, below), count - 1);
      assert.equal((await texts(evaluation)).sort(), sorted.slice(0, heldOut).sort());
      assert.equal((await texts(training)).sort(), sorted.slice(heldOut).sort());
    }
  }
});

test('copies of the document with the least hash are held out together, and copies alone are cut', async () => {
  const [a, b] = ['document 0', 'document 1'].sort((x, y) => fractionOf(x) - fractionOf(y)) as [
    string,
    string,
  ];
  const several = await holdOut(listOf([b, a, b, a]), 1e-9);
  assert.equal(await texts(several.evaluation), [a, a]);
  assert.equal(await texts(several.training), [b, b]);
  const copies = await holdOut(listOf(['0123456789', '0123456789']), 0.2);
  assert.equal(await texts(copies.training), ['01234567', '01234567']);
  assert.equal(await texts(copies.evaluation), ['89', '89']);
});

test('of a mixture each document is held out once, however often its source starts over', async () => {
  const [few, many] = [manyTexts.slice(0, 40), manyTexts.slice(40, 400)];
  const paths = [few, many].map((some, i) => library.put(`weighted-${i}.jsonl`, jsonl(some)));
  const documents = await open(paths.map((path, i) => `${path}:${[0.9, 0.1][i]}`));
  const { training, evaluation } = await holdOut(documents, 0.3);
  const heldOut = await texts(evaluation);
  assert.is(heldOut.length, new Set(heldOut).size);
  assert.ok(heldOut.some((text) => few.includes(text)) && heldOut.some((text) => many.includes(text)));
  const trained = await texts(training);
  assert.equal([...new Set(trained), ...heldOut].sort(), [...few, ...many].sort());
  assert.ok(trained.length > 2 * few.length + many.length, 'the other documents come again');
});

test('of copies in a mixture, too, the part that is cut off is held out once', async () => {
  const paths = [1, 20].map((count, i) =>
    library.put(`copies-${i}.jsonl`, jsonl(Array.from({ length: count }, () => '0123456789'))),
  );
  const { evaluation } = await holdOut(await open(paths.map((path) => `${path}:0.5`)), 0.2);
  assert.equal(
    await texts(evaluation),
    Array.from({ length: 21 }, () => '89'),
  );
});

test('a single example that is no text is refused, and so are copies of one', async () => {
  const expected =
    /expected several conversations, prompts or queries to hold some out, found one; give more, or --eval-/;
  const learned = Uint8Array.of(0, 1);
  const examples: Example[] = [
    { prompt: 'a', completion: 'b' },
    { query: 'a', answer: 'b', transcript: 'c' },
    { messages: [{ role: 'assistant', content: 'a' }] },
    { tokens: Uint32Array.of(1, 2), learned, bytes: 2, fraction: 0.5 },
  ];
  for (const example of examples) {
    for (const all of [[example], [example, example]]) {
      assert.match(await inputErrorOf(() => holdOut(listOf(all), 0.2)), expected);
    }
  }
});

test('telling whether there is something on both sides takes few of many documents', async () => {
  let taken = 0;
  const source = listOf(manyTexts);
  const counted: DocumentSource = {
    ...source,
    async *read(place) {
      const items = source.read(place);
      for (let item = await items.next(); !item.done; item = await items.next()) {
        taken++;
        yield item.value;
      }
      return placeOf(0);
    },
  };
  await holdOut(counted, 0.05);
  assert.ok(taken < 200, `${taken}`);
});

const stories = sharedPath('data/text/tinystories.txt');
(stories ? test : test.skip)('the held-out part of a real text is its last twentieth', async () => {
  const documents = await open(stories!);
  const [whole] = await texts(documents);
  const { training, evaluation } = await holdOut(documents, 0.05);
  const [head] = await texts(training);
  const [tail] = await texts(evaluation);
  assert.is(head!.length, Math.floor(whole!.length * 0.95));
  assert.ok(head + tail! === whole);
});

test.run();
