import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { learningRate, type ScheduleOptions } from '#src/training/schedule.js';

const rates = (options: Partial<ScheduleOptions>): number[] => {
  const all: ScheduleOptions = { lr: 2, warmup: 0, schedule: 'constant', decay: 0, steps: 8, ...options };
  return Array.from({ length: all.steps }, (_, i) => learningRate(all, i + 1));
};

function assertClose(actual: readonly number[], expected: readonly number[]): void {
  assert.is(actual.length, expected.length);
  actual.forEach((rate, i) => {
    assert.ok(Math.abs(rate - expected[i]!) < 1e-12, `step ${i + 1}: ${rate}, expected ${expected[i]}`);
  });
}

test('constant', () => {
  assertClose(rates({}), [2, 2, 2, 2, 2, 2, 2, 2]);
});

test('linear: from the peak at the first step towards 0 after the last', () => {
  assertClose(rates({ schedule: 'linear' }), [2, 1.75, 1.5, 1.25, 1, 0.75, 0.5, 0.25]);
});

test('cosine: half at the middle', () => {
  const r = Math.SQRT1_2;
  const [a, b] = [Math.cos(Math.PI / 8), Math.cos((3 * Math.PI) / 8)];
  assertClose(rates({ schedule: 'cosine' }), [2, 1 + a, 1 + r, 1 + b, 1, 1 - b, 1 - r, 1 - a]);
});

test('wsd: stable, then linear over the last share of the steps', () => {
  assertClose(rates({ schedule: 'wsd', decay: 0.5 }), [2, 2, 2, 2, 2, 1.5, 1, 0.5]);
  assertClose(rates({ schedule: 'wsd', decay: 0 }), [2, 2, 2, 2, 2, 2, 2, 2]);
});

test('warm-up rises from 1 / warmup to 1 and multiplies the schedule', () => {
  assertClose(rates({ warmup: 4 }), [0.5, 1, 1.5, 2, 2, 2, 2, 2]);
  const plain = rates({ schedule: 'cosine' });
  assertClose(
    rates({ schedule: 'cosine', warmup: 4 }),
    plain.map((rate, i) => rate * Math.min(1, (i + 1) / 4)),
  );
});

test('a warm-up longer than the run never reaches the peak', () => {
  assertClose(rates({ warmup: 16 }), [0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1]);
});

test.run();
