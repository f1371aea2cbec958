import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { DocumentSource, Place } from '#src/data/documents.js';
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

/** A source of ready texts. */
const listOf = (values: string[]): DocumentSource => ({
  start: placeOf(0),
  async *read(place) {
    for (let i = place?.sources[0]?.at?.index ?? 0; i < values.length; i++) {
      yield { id: `memory:${i}`, example: values[i]!, place: placeOf(i), pass: 0 };
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

test('a split with an empty part says so', async () => {
  const split = await holdOut(listOf(['document 0', 'document 1']), 1e-9);
  assert.match(
    await inputErrorOf(() => read(split.evaluation)),
    /found none at --eval-fraction 1e-9; raise it/,
  );
  assert.is((await read(split.training)).length, 2);
  const greedy = await holdOut(listOf(['document 0', 'document 1']), 1 - 1e-9);
  assert.match(await inputErrorOf(() => read(greedy.training)), /found all of them held out .*; lower it/);
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
