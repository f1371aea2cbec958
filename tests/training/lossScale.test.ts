import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { DivergedError } from '#src/base/errors.js';
import { LossScale } from '#src/training/lossScale.js';

const count = (scale: LossScale, batches: number, overflowed = false) => {
  for (let i = 0; i < batches; i++) scale.count(overflowed);
};

test('it doubles after 500 batches without an overflow, up to 2^14', () => {
  const scale = new LossScale();
  count(scale, 499);
  assert.is(scale.value, 64);
  count(scale, 1);
  assert.is(scale.value, 128);
  count(scale, 20 * 500);
  assert.is(scale.value, 2 ** 14);
  assert.is(scale.skipped, 0);
});

test('an overflow halves it, is counted, and starts the wait anew', () => {
  const scale = new LossScale();
  count(scale, 499);
  count(scale, 1, true);
  assert.equal(scale.state, { scale: 32, steady: 0, skipped: 1 });
  count(scale, 499);
  assert.is(scale.value, 32);
  count(scale, 1);
  assert.is(scale.value, 64);
});

test('gradients that overflow at every scale end the run instead of skipping batches for ever', () => {
  const scale = new LossScale();
  count(scale, 16, true);
  assert.is(scale.value, 2 ** -10);
  assert.throws(
    () => count(scale, 1, true),
    (error: Error) =>
      error instanceof DivergedError && /smallest loss scale.* after 16 skipped.*--lr/.test(error.message),
  );
  assert.equal(scale.state, { scale: 2 ** -10, steady: 0, skipped: 16 });
  count(scale, 500);
  assert.is(scale.value, 2 ** -9);
});

test('it goes on from its state', () => {
  const first = new LossScale();
  count(first, 300);
  count(first, 1, true);
  count(first, 200);
  const second = new LossScale(first.state);
  for (const scale of [first, second]) count(scale, 300);
  assert.equal(second.state, first.state);
  assert.is(second.value, 64);
});

test.run();
