import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { runPaths } from '#src/formats/runFolder.js';
import { outcomeOf } from '#src/study/outcome.js';
import { temporaryFolder } from '../support.js';

/** What a run's metrics say of it, read from files as runs write them. */

const folder = temporaryFolder('outcome');

function runOf(name: string, records: readonly object[]): string {
  const out = join(folder, name);
  mkdirSync(out);
  writeFileSync(runPaths(out).metrics, records.map((record) => `${JSON.stringify(record)}\n`).join(''));
  return out;
}

const step = (number: number, tokens: number) => ({
  ...{ type: 'step', step: number, tokens, loss: 2, grad_norm: 1, noise_scale: null },
  elapsed_s: number / 10,
});
const evaluation = (number: number, nll: number) => ({ type: 'eval', step: number, nll });

const test = suite('outcome of a run');

const parent = runOf('parent', [
  ...[evaluation(0, 3), step(1, 30), step(2, 61), evaluation(2, 2.5), step(3, 90), evaluation(3, 2)],
]);

test('tokens of a curve are those of the steps before, none at the beginning', () => {
  const { steps, tokens, curve, measures } = outcomeOf(parent);
  assert.equal([steps, tokens, measures.nll], [3, 90, 2]);
  assert.equal(
    curve.map((point) => [point.step, point.tokens]),
    [
      [0, 0],
      [2, 61],
      [3, 90],
    ],
  );
});

test('a fork begins with what the run had read there, also one that diverged at once', () => {
  const fork = runOf('fork', [evaluation(2, 2.5), step(3, 120), evaluation(3, 1.9)]);
  const { tokens, curve } = outcomeOf(fork, `${parent}@2`);
  assert.is(tokens, 120);
  assert.equal(
    curve.map((point) => [point.step, point.tokens]),
    [
      [2, 61],
      [3, 120],
    ],
  );
  const none = outcomeOf(runOf('none', []), `${parent}@2`);
  assert.equal([none.steps, none.tokens, none.seconds], [2, 61, 0]);
});

test.run();
