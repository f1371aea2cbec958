import { readFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { stem } from '#src/evaluation/porter.js';
import { ROUGE_TYPES, type RougeType, rouge } from '#src/evaluation/rouge.js';
import { inputErrorOf } from '../inputErrors.js';
import { projectRoot, sharedPath } from '../support.js';

/** ROUGE against google's rouge-score 0.1.2, its stemmer against NLTK's; see tests/goldens/make_rouge.py. */

type Numbers = readonly [precision: number, recall: number, f1: number];

interface Case {
  readonly target: string;
  readonly prediction: string;
}

interface Golden extends Case {
  readonly plain: Readonly<Record<RougeType, Numbers>>;
  readonly stem: Readonly<Record<RougeType, Numbers>>;
}

const readJson = (path: string) => JSON.parse(readFileSync(path, 'utf8'));
const goldens = `${projectRoot}/tests/goldens/rouge`;
/** The numbers are equal to the bit; this leaves room for another order of the same few operations. */
const NEAR = 1e-12;

function check({ target, prediction }: Case, stemming: boolean, expected: (type: RougeType) => Numbers) {
  const found = rouge(target, prediction, { stemming });
  for (const type of ROUGE_TYPES) {
    const { precision, recall, f1 } = found[type];
    for (const [i, value] of [precision, recall, f1].entries()) {
      const wanted = expected(type)[i]!;
      const label = `${type}[${i}], stemming ${stemming}: ${JSON.stringify({ target, prediction })}`;
      assert.ok(Math.abs(value - wanted) <= NEAR, `${label}: expected ${wanted}, found ${value}`);
    }
  }
}

const tests = suite('ROUGE');

tests('stems are those of NLTK', () => {
  const stems: readonly (readonly [string, string])[] = readJson(`${goldens}/stems.json`);
  assert.ok(stems.length >= 1500);
  assert.equal(
    stems.map(([word]) => [word, stem(word)]),
    stems,
  );
});

tests('scores are those of rouge-score', () => {
  const cases: readonly Golden[] = readJson(`${goldens}/cases.json`);
  assert.is(cases.length, 60);
  for (const one of cases) {
    check(one, false, (type) => one.plain[type]);
    check(one, true, (type) => one.stem[type]);
  }
});

tests('words are not stemmed unless that is asked for', () => {
  const without = rouge('meetings', 'meeting');
  assert.equal(without, rouge('meetings', 'meeting', { stemming: false }));
  assert.is(without.rouge1.f1, 0);
  assert.is(rouge('meetings', 'meeting', { stemming: true }).rouge1.f1, 1);
  // Of three letters none is.
  assert.is(rouge('its', 'it', { stemming: true }).rouge1.f1, 0);
});

tests('what is no text is refused', async () => {
  const wrong = undefined as unknown as string;
  assert.match(await inputErrorOf(() => rouge(wrong, 'a')), /^reference: expected a text, found nothing/);
  assert.match(
    await inputErrorOf(() => rouge('a', ['b'] as unknown as string)),
    /^prediction: expected a text/,
  );
});

tests('a long text takes no stack', () => {
  const long = 'word '.repeat(3000);
  assert.is(rouge(long, long).rougeLsum.f1, 1);
  assert.is(stem(`${'y'.repeat(200_000)}ing`).length, 200_000);
});

tests.run();

const shared = sharedPath('goldens/rouge.json');
const real = suite('ROUGE of real summaries');
const withGoldens = shared ? real : real.skip;
const label = shared ? '' : ' (no ../shared: 20 cases skipped)';

withGoldens(`20 summaries and edge cases${label}`, () => {
  const { cases }: { cases: readonly (Case & Readonly<Record<string, Numbers>>)[] } = readJson(shared!);
  assert.is(cases.length, 20);
  for (const one of cases) {
    check(one, false, (type) => one[`plain:${type}`]!);
    check(one, true, (type) => one[`stem:${type}`]!);
  }
});

real.run();
