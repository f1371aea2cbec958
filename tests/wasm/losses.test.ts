import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { permutation, randomUint32 } from '#src/data/random.js';
import type { LossPercentiles } from '#src/records.js';
import { summarizeLosses } from '#src/wasm/losses.js';

const IGNORED = -100;

/** A seeded number in [0, 1). */
const uniform = (seed: number, i: number): number => randomUint32(seed, 0, i) / 2 ** 32;

const nearestRank = (sorted: Float32Array, percent: number): number =>
  sorted[Math.ceil((percent / 100) * sorted.length) - 1] ?? Number.NaN;

/** What is expected of finite losses, in plain JavaScript. */
function reference(losses: Float32Array, labels: Int32Array): { sum: number; percentiles: LossPercentiles } {
  const sorted = losses.filter((_, t) => labels[t] !== IGNORED).sort();
  const [p50, p90, p99] = [50, 90, 99].map((percent) => nearestRank(sorted, percent)) as [
    number,
    number,
    number,
  ];
  return {
    sum: sorted.reduce((a, b) => a + b, 0),
    percentiles: { min: sorted[0] ?? Number.NaN, p50, p90, p99, max: sorted.at(-1) ?? Number.NaN },
  };
}

const close = (found: number, expected: number, what: string) =>
  assert.ok(
    Math.abs(found - expected) <= 1e-12 * (1 + Math.abs(expected)),
    `${what}: ${found}, not ${expected}`,
  );

test('sums, counts and percentiles equal those of sorting, for any length and share of masked tokens', () => {
  for (const length of [1, 2, 3, 4, 5, 7, 43, 100, 1023, 20_000]) {
    for (const masked of [0, 0.3, 0.95]) {
      const seed = length + 1000 * masked;
      const ce = Float32Array.from({ length }, (_, t) => 12 * uniform(seed, t) ** 3);
      // Rounding leaves KL a little below 0; many are equal.
      const kl = Float32Array.from({ length }, (_, t) => Math.round(50 * uniform(seed + 1, t)) / 100 - 1e-7);
      const labels = Int32Array.from({ length }, (_, t) => (uniform(seed + 2, t) < masked ? IGNORED : t));
      const found = summarizeLosses(ce, kl, labels);
      const [ofCe, ofKl] = [reference(ce, labels), reference(kl, labels)];
      const label = `${length} tokens, ${masked} masked`;
      assert.is(found.count, labels.filter((l) => l !== IGNORED).length, label);
      assert.is(found.nonFinite, 0, label);
      close(found.ceSum, ofCe.sum, label);
      close(found.klSum, ofKl.sum, label);
      assert.equal(found.cePercentiles, ofCe.percentiles, label);
      assert.equal(found.klPercentiles, ofKl.percentiles, label);
    }
  }
});

test('percentiles do not depend on the order of the tokens, and span all magnitudes and signs', () => {
  const numbers = Float32Array.of(-3e38, -1, -1e-40, -0, 0, 1e-40, 1e-10, 1, 2, 3e38);
  for (let seed = 0; seed < 20; seed++) {
    const shuffled = Float32Array.from(permutation(numbers.length, seed, 0), (i) => numbers[i]!);
    const { cePercentiles } = summarizeLosses(shuffled, shuffled, new Int32Array(numbers.length));
    const expected = { min: numbers[0], p50: numbers[4], p90: numbers[8], p99: numbers[9], max: numbers[9] };
    assert.equal({ ...cePercentiles, p50: Math.abs(cePercentiles.p50) }, expected);
  }
});

test('sums are f64: a small loss is not lost beside large ones', () => {
  const ce = new Float32Array(1000).fill(1e8);
  ce[500] = 0.25;
  const { ceSum } = summarizeLosses(ce, ce, new Int32Array(1000));
  assert.is(ceSum, 999e8 + 0.25);
});

test('what is at a masked token never counts', () => {
  const labels = Int32Array.of(5, IGNORED, 7, IGNORED, 0);
  const ce = Float32Array.of(1, Number.NaN, 2, Infinity, 4);
  const kl = Float32Array.of(0.5, -Infinity, 0.25, Number.NaN, 0);
  const found = summarizeLosses(ce, kl, labels);
  assert.is(found.count, 3);
  assert.is(found.nonFinite, 0);
  assert.is(found.ceSum, 7);
  assert.is(found.klSum, 0.75);
  assert.equal(found.cePercentiles, { min: 1, p50: 2, p90: 4, p99: 4, max: 4 });
});

test('NaN and infinite losses are counted, spoil their own sum, and have no rank', () => {
  const ce = Float32Array.of(3, Number.NaN, 1, Infinity, 2, -Infinity);
  const kl = Float32Array.of(1, 2, 3, 4, Infinity, 6);
  const found = summarizeLosses(ce, kl, new Int32Array(6));
  assert.is(found.count, 6);
  assert.is(found.nonFinite, 4);
  assert.ok(Number.isNaN(found.ceSum));
  assert.is(found.klSum, Infinity);
  assert.equal(found.cePercentiles, { min: 1, p50: 2, p90: 3, p99: 3, max: 3 });
  assert.equal(found.klPercentiles, { min: 1, p50: 3, p90: 6, p99: 6, max: 6 });
});

test('without a label there is nothing to sum', () => {
  for (const length of [0, 6]) {
    const losses = new Float32Array(length).fill(1);
    const found = summarizeLosses(losses, losses, new Int32Array(length).fill(IGNORED));
    assert.is(found.count, 0);
    assert.is(found.ceSum, 0);
    assert.is(found.klSum, 0);
    assert.is(found.nonFinite, 0);
    assert.ok(Object.values(found.cePercentiles).every(Number.isNaN));
  }
});

test('arrays of different lengths are refused', () => {
  assert.throws(
    () => summarizeLosses(new Float32Array(4), new Float32Array(3), new Int32Array(4)),
    /Expected as many losses as labels \(4\), found 4 CE, 3 KL/,
  );
});

test.run();
