import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { NO_LABEL } from '#src/data/packing.js';
import type { MicroBatch } from '#src/messages.js';
import type { StepRecord } from '#src/records.js';
import { StepMeter } from '#src/training/stepMeter.js';

const SLOTS = 64;

/** A micro-batch of which so many slots have a label, and as many more are read only. */
function microBatch(labelled: number, filled: number): MicroBatch {
  const labels = new Int32Array(SLOTS).fill(NO_LABEL).fill(1, 0, labelled);
  const spent = { loaderMs: 0, teacherMs: 0, teacherDataMs: 0, teacherTokens: filled };
  return {
    labels,
    filled: [Math.ceil(filled / 2), Math.floor(filled / 2)],
    documents: ['a'],
    skipped: { total: 0, listed: [] },
    spent,
    signal: { kind: 'none' },
  } as unknown as MicroBatch;
}

/** A step whose squared gradient norms are what they are on average: |G|^2 + tr(Sigma) / n for n labels. */
function stepOf(counts: readonly number[], signal: number, noise: number): StepRecord {
  const meter = new StepMeter(0);
  const squareOf = (n: number) => Float32Array.of(n ** 2 * signal + n * noise);
  for (const n of counts) {
    const batch = microBatch(n, SLOTS - 4);
    meter.received(batch);
    const ce = new Float32Array(SLOTS).fill(2, 0, n);
    meter.learned(batch, { ce, kl: new Float32Array(SLOTS), squares: squareOf(n) }, undefined);
  }
  const squares = squareOf(counts.reduce((a, b) => a + b));
  const shares = [meter.share];
  return meter.finish({ step: 1, tokens: 0, alpha: 0, lr: 1, shares, squares, lossScale: undefined });
}

test('the noise scale is the trace over the squared norm, however the labels are spread', () => {
  for (const counts of [
    [32, 32, 32, 32],
    [62, 62, 2, 2],
    [61, 61, 5, 1],
  ]) {
    const { noise_scale } = stepOf(counts, 0.5, 2);
    assert.ok(Math.abs(noise_scale! / 4 - 1) < 1e-4, `${noise_scale} for ${counts}`);
  }
  assert.is(stepOf([32], 0.5, 2).noise_scale, null, 'one micro-batch tells nothing');
  assert.is(stepOf([32, 0], 0.5, 2).noise_scale, null, 'nor does one without a label');
});

test('padding is the share of slots without a token; losses are means over labels', () => {
  const { padding, ce, loss, teacher_tokens } = stepOf([10, 30], 0.5, 2);
  assert.is(teacher_tokens, 2 * (SLOTS - 4));
  assert.is(padding, 4 / SLOTS);
  assert.is(ce, 2);
  assert.is(loss, 2);
});

test.run();
