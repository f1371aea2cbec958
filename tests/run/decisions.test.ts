import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { EvalRecord, TasksRecord } from '#src/records.js';
import { Decisions } from '#src/run/decisions.js';

/** What evaluations decide: the same whenever it is asked, and after any number of resumes. */

const busy = { seconds: 0, share: 0, waited: 0 };
const loss = (step: number, nll: number): EvalRecord => ({
  ...{ type: 'eval', step, nll, perplexity: Math.exp(nll), tokens: 1, busy },
});
const scored = (step: number, acc: number | null): TasksRecord => ({
  ...{
    type: 'tasks',
    step,
    results: { gsm8k: { 'exact_match,strict-match': acc } },
    items: { gsm8k: 1 },
    busy,
  },
});
const SCORE = 'gsm8k/exact_match,strict-match';

const test = suite('decisions');

test('a loss is better when it is lower, a score when it is higher; as good is no better', () => {
  const decisions = new Decisions({ keepBest: 'nll', earlyStop: `${SCORE}:3` });
  const published: unknown[] = [];
  for (const [step, nll, acc] of [
    [0, 2, 0.1],
    [5, 2, 0.3],
    [10, 1.5, 0.3],
    [15, 1.7, 0.2],
  ] as const) {
    decisions.take([loss(step, nll), scored(step, acc)]);
    published.push(decisions.publish()?.step);
    assert.not(decisions.end());
  }
  assert.equal(published, [0, undefined, 10, undefined]);
  decisions.take([loss(20, 1.4), scored(20, 0.25)]);
  assert.ok(decisions.end());
  assert.equal(decisions.ended, { patience: 3, best: { metric: SCORE, step: 5, value: 0.3 } });
  assert.equal(decisions.best, { metric: 'nll', step: 20, value: 1.4 });
});

test('what is no number is never better, and counts', () => {
  const decisions = new Decisions({ keepBest: SCORE, earlyStop: `${SCORE}:2` });
  for (const value of [null, Number.NaN]) decisions.take([scored(0, value)]);
  assert.is(decisions.publish(), undefined);
  assert.ok(decisions.end());
  assert.equal(decisions.ended, { patience: 2 });
});

test('goes on from its state, through JSON, after any evaluation', () => {
  const options = { keepBest: 'nll', earlyStop: 'nll:2' };
  const values = [3, 2, 2.5, 1, 1.2, 1.1, 0.9];
  const straight = new Decisions(options);
  let resumed = new Decisions(options);
  for (const [i, nll] of values.entries()) {
    for (const decisions of [straight, resumed]) decisions.take([loss(i, nll)]);
    assert.is(straight.publish()?.value, resumed.publish()?.value);
    assert.is(straight.end(), resumed.end());
    resumed = new Decisions(options, JSON.parse(JSON.stringify(resumed.state)));
    assert.equal(resumed.state, straight.state);
  }
  assert.is(straight.best?.value, 0.9);
});

test('what has ended stays so, for the reason it had', () => {
  const decisions = new Decisions({ keepBest: undefined, earlyStop: 'nll:1' });
  for (const [step, nll] of [
    [0, 2],
    [5, 2],
  ] as const)
    decisions.take([loss(step, nll)]);
  assert.ok(decisions.end());
  decisions.take([loss(10, 1)]);
  assert.ok(decisions.end());
  assert.is(decisions.ended?.best?.step, 0);
});

test('nothing depends on evaluations where nothing is asked for', () => {
  const decisions = new Decisions({ keepBest: undefined, earlyStop: undefined });
  decisions.take([loss(0, 1)]);
  assert.equal([decisions.state, decisions.publish(), decisions.end()], [undefined, undefined, false]);
});

test.run();
