import { readFileSync } from 'node:fs';
import { loadModel } from 'rivulet';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { makeFixture } from '../fixtures.js';
import { outcomeOf, recordsOf } from './outcome.js';

/** What a run says of held-out text is what the model says of each of its documents. */

const fixture = makeFixture('evaluation');
/** No document is longer. */
const SEQUENCE = 64;

test('short documents share rows: --eval-tokens counts tokens, not padding', async () => {
  const model = await loadModel(fixture.student, { sequence: SEQUENCE, threads: 1 });
  const lines = readFileSync(fixture.jsonl, 'utf8').trimEnd().split('\n');
  const documents = lines.map((line) => (JSON.parse(line) as { text: string }).text);
  const scores: { nll: number; predicted: number; read: number }[] = [];
  for (const text of documents) {
    const { nll, tokens: predicted } = await model.perplexity(text);
    assert.ok(predicted < SEQUENCE);
    scores.push({ nll, predicted, read: predicted + 1 });
  }
  await model.close();
  const total = (of: (score: (typeof scores)[number]) => number, among = scores): number =>
    among.reduce((sum, score) => sum + of(score), 0);

  const limit = total(({ read }) => read, scores.slice(0, 25));
  assert.ok(limit < 25 * SEQUENCE, 'a row for each document would be more than the limit');
  for (const [evalTokens, among] of [
    [limit, scores.slice(0, 25)],
    [limit - 1, scores.slice(0, 24)],
    [1_000_000, scores],
  ] as const) {
    const outcome = await outcomeOf({
      ...{ student: fixture.student, data: [fixture.text], evalData: fixture.jsonl, evalTokens },
      ...{ sequence: SEQUENCE, batch: 2, shuffleRows: 16, steps: 1, threads: 1 },
    });
    const [first] = recordsOf(outcome, 'eval');
    const predicted = total((score) => score.predicted, among);
    const nll = total((score) => score.nll * score.predicted, among) / predicted;
    assert.is(first!.tokens, predicted);
    assert.ok(Math.abs(first!.nll / nll - 1) < 1e-6, `${first!.nll}, expected ${nll}`);
  }
});

test.run();
