import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { chooseExamples, chosenExamples } from '#src/data/chooseExamples.js';
import type { DocumentSource } from '#src/data/documents.js';
import { bytesOf, fractionOf } from '#src/data/examples.js';
import { holdOut } from '#src/data/holdOut.js';
import { mapDocuments } from '#src/data/mapDocuments.js';
import { trainingDocuments } from '#src/data/trainingDocuments.js';
import { inputErrorOf } from '../inputErrors.js';
import { jsonl, Library, open, read, stored } from './documents/support.js';

/** The first N of a seeded shuffle. */

const library = new Library('chooseExamples');
const many = Array.from({ length: 200 }, (_, i) => `example ${i}`);
const path = library.put('many.jsonl', jsonl(many));

async function firstOf(documents: DocumentSource, count: number, seed = 0): Promise<string[]> {
  const choice = stored(await chooseExamples(documents, count, seed));
  return (await read(chosenExamples(documents, choice))).map(({ text }) => text);
}

test('exactly so many, in the order of the text; fewer are among more', async () => {
  const documents = await open(path);
  let larger = many;
  for (const count of [200, 137, 100, 50, 17, 1]) {
    const found = await firstOf(documents, count);
    assert.is(found.length, count);
    assert.equal(
      found,
      larger.filter((text) => found.includes(text)),
    );
    larger = found;
  }
});

test('another seed chooses others, each document as often as any', async () => {
  const documents = await open(path);
  const times = new Map<string, number>();
  for (let seed = 0; seed < 200; seed++) {
    for (const text of await firstOf(documents, 50, seed)) times.set(text, (times.get(text) ?? 0) + 1);
  }
  // Binomial(200, 1/4): 50 with a standard deviation of 6.1; five of them for the most extreme of 200.
  for (const text of many) assert.ok(Math.abs(times.get(text)! - 50) < 31, `${text}: ${times.get(text)}`);
});

test('the order of the text and how it is shared out to files change nothing', async () => {
  const expected = (await firstOf(await open(path), 60)).sort();
  const turned = library.put('turned.jsonl', jsonl([...many].reverse()));
  assert.equal((await firstOf(await open(turned), 60)).sort(), expected);
  const parts = [many.slice(0, 3), many.slice(3, 150), many.slice(150)].map((texts, i) =>
    library.put(`part-${i}.jsonl`, jsonl(texts)),
  );
  assert.equal((await firstOf(await open(parts), 60)).sort(), expected);
});

test('encoded documents are chosen as their texts are', async () => {
  const documents = await open(path);
  const encoded = mapDocuments(documents, ({ example }) => ({
    ...{ tokens: Uint32Array.of(1, 2), bytes: bytesOf(example), fraction: fractionOf(example) },
  }));
  const choice = await chooseExamples(documents, 20, 4);
  assert.equal(await chooseExamples(encoded, 20, 4), choice);
});

test('of equal documents so many as are wanted', async () => {
  const documents = await open(library.put('equal.jsonl', jsonl(Array(30).fill('again'))));
  for (const count of [1, 7, 30]) assert.is((await firstOf(documents, count)).length, count);
});

test('the same ones in every epoch, and from any place on', async () => {
  const documents = await open(path);
  const chosen = chosenExamples(documents, await chooseExamples(documents, 12, 9));
  const first = await read(chosen);
  for (const [i, { place }] of first.entries()) {
    assert.equal(await read(chosen, stored(place)), first.slice(i));
  }
  const items = chosen.read();
  let step = await items.next();
  while (!step.done) step = await items.next();
  const second = await read(chosen, step.value);
  assert.equal(
    second.map(({ text }) => text),
    first.map(({ text }) => text),
  );
  assert.is(second[0]!.pass, 1);
});

test('of a mixture each document counts once, however often it comes', async () => {
  const few = library.put('few.jsonl', jsonl(['a', 'b', 'c']));
  const documents = await open([`${path}:0.1`, `${few}:0.9`]);
  assert.is(await inputErrorOf(() => chooseExamples(documents, 204, 0)), MOST(203, 204));
  const all = await firstOf(documents, 203);
  assert.is(new Set(all).size, 203);
  const some = await firstOf(documents, 100);
  assert.is(new Set(some).size, 100);
});

test('what is held out is taken first, and stays held out', async () => {
  const documents = await open(path);
  const { evaluation } = await holdOut(documents, 0.3);
  const heldOut = (await read(evaluation)).map(({ text }) => text);
  const training = await trainingDocuments(documents, { evalFraction: 0.3 });
  const left = 200 - heldOut.length;
  assert.is(await inputErrorOf(() => chooseExamples(training, left + 1, 0)), MOST(left, left + 1));
  const examples = await chooseExamples(training, 40, 0);
  const found = await read(await trainingDocuments(documents, { evalFraction: 0.3, examples }));
  assert.is(found.length, 40);
  assert.ok(found.every(({ text }) => !heldOut.includes(text)));
});

test('what was skipped is no example, and is told', async () => {
  const bad = library.put('bad.jsonl', `{"text"\n${jsonl(['a', 'b'])}`);
  const documents = await open(bad, { onBad: 'skip' });
  assert.is(await inputErrorOf(() => chooseExamples(documents, 3, 0)), MOST(2, 3));
  const skipped: string[] = [];
  const choice = await chooseExamples(documents, 1, 0);
  assert.is((await read(chosenExamples(documents, choice), undefined, skipped)).length, 1);
  assert.is(skipped.length, 1);
});

test('of many documents few are kept in mind, and are the first of them', async () => {
  const texts = Array.from({ length: 5000 }, (_, i) => `text ${i}`);
  const documents = await open(library.put('large.jsonl', jsonl(texts)));
  const all = await read(documents);
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 5000 }), fc.nat(), async (count, seed) => {
      const { last } = await chooseExamples(documents, count, seed);
      assert.is((await firstOf(documents, count, seed)).length, count);
      assert.ok(all.some(({ number }) => `${number}` === `${last.slice(1)}`));
    }),
    { numRuns: 8, seed: 1 },
  );
});

const MOST = (found: number, asked: number): string =>
  `--examples: expected at most ${found}, which is all that there is to train on, found ${asked}; lower it, or give more text`;

test.run();
