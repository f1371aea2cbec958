import { readFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  EXAMPLES,
  equationOf,
  type MiniatureExample,
  puzzleOf,
  taleOf,
} from '#recipes/miniature/examples.js';
import { miniatureDocument } from '#recipes/miniature/grammar.js';
import { hasMiniature, miniaturePaths } from '#src/prepare/miniature.js';
import { questionsOf, replayTale } from './replay.js';

const documents = Array.from({ length: 4000 }, (_, index) => miniatureDocument(11, index, 'target'));
const examples = suite('miniature/examples');

examples('puzzles are the first questions of documents, those that count left out', () => {
  let found = 0;
  for (const { kind, text } of documents) {
    const [first] = questionsOf(text);
    const puzzle = puzzleOf(text);
    if (kind !== 'questions' || !first || /^(How many|Who has the)/.test(first.ask)) {
      assert.is(puzzle, undefined, text);
      continue;
    }
    found++;
    assert.ok(text.startsWith(puzzle!.prompt + puzzle!.completion));
    assert.ok(puzzle!.prompt.endsWith(`Question: ${first.ask}\nAnswer:`));
    assert.is(puzzle!.completion, ` ${first.answer}.`);
  }
  assert.ok(found > 300, `${found}`);
});

/** What an equation, or a tale, comes to. */
function resultOf(text: string): number {
  const last = text.split('\n').at(-1)!;
  const equation = /(?:(\d+) ([+-]) (\d+) =|take (\d+) from (\d+), you get) \d+\.$/.exec(last);
  if (!equation) return replayTale(last)!.end;
  const [, left, sign, right, less, from] = equation;
  if (less !== undefined) return Number(from) - Number(less);
  return sign === '+' ? Number(left) + Number(right) : Number(left) - Number(right);
}

examples('sums end documents, and are right', () => {
  const counts = { sums: 0, tale: 0 };
  for (const { kind, text } of documents) {
    const sum = equationOf(text) ?? taleOf(text);
    if (!sum) continue;
    counts[kind as 'sums']++;
    assert.is(sum.prompt + sum.completion, text);
    const [, number] = /^ (\d+|no)\b/.exec(sum.completion)!;
    assert.is(number === 'no' ? 0 : Number(number), resultOf(text), text);
  }
  assert.ok(counts.sums > 100 && counts.tale > 300, JSON.stringify(counts));
  assert.is(Object.keys(counts).length, 2);
});

const whenMade = hasMiniature() ? examples : examples.skip;

whenMade('the bundled ones are in no text to train on', () => {
  const paths = miniaturePaths();
  const read = (path: string) =>
    readFileSync(path, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as MiniatureExample & { text: string });
  const corpus = read(paths.corpus).map(({ text }) => text);
  for (const [path, count] of [
    [paths.puzzles, EXAMPLES.puzzles],
    [paths.arithmetic, EXAMPLES.equations + EXAMPLES.tales],
  ] as const) {
    const found = read(path);
    assert.is(found.length, count);
    for (const { prompt } of found)
      assert.not.ok(
        corpus.some((text) => text.startsWith(prompt)),
        prompt,
      );
  }
  const general = new Set(read(paths.general).map(({ text }) => text));
  assert.not.ok(corpus.some((text) => general.has(text)));
});

examples.run();
