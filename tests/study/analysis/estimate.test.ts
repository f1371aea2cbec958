import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  estimate,
  exponential,
  fitLine,
  holm,
  pairedDifference,
  tFactor,
  verdictOf,
} from '#src/study/analysis/estimate.js';

const test = suite('study: estimates');

const near = (a: number, b: number, tolerance = 1e-7) =>
  assert.ok(Math.abs(a - b) <= tolerance * Math.max(1, Math.abs(b)), `${a} is not ${b}`);

test('quantiles of t are those of its closed forms and of tables', () => {
  near(tFactor(1), Math.tan(Math.PI * 0.475));
  near(tFactor(2), (2 * 0.475 * Math.SQRT2) / Math.sqrt(4 * 0.975 * 0.025));
  for (const [dof, quantile] of [
    [3, 3.182446305284],
    [4, 2.776445105198],
    [9, 2.262157162741],
    [29, 2.045229642133],
  ] as const)
    near(tFactor(dof), quantile);
});

test('a mean has the interval of its standard error, one value has none', () => {
  const { mean, sd, interval, n, p } = estimate([1, 2, 6])!;
  assert.equal([mean, n], [3, 3]);
  near(sd!, Math.sqrt(7));
  near(interval![1] - mean, tFactor(2) * Math.sqrt(7 / 3));
  // t = 3 / sqrt(7 / 3) with 2 degrees of freedom: p = 1 - t / sqrt(t^2 + 2).
  const t = 3 / Math.sqrt(7 / 3);
  near(p!, 1 - t / Math.sqrt(t * t + 2));
  assert.equal(estimate([4]), { mean: 4, n: 1 });
  assert.is(estimate([]), undefined);
});

test('equal values: a difference is certain, none is none', () => {
  assert.is(verdictOf(estimate([0.5, 0.5, 0.5])), 'higher');
  assert.is(estimate([0.5, 0.5, 0.5])!.p, 0);
  assert.is(verdictOf(estimate([0, 0])), 'none');
  assert.is(estimate([0, 0])!.p, 1);
});

test('pairs are the seeds that both have', () => {
  const a = new Map([
    ['1', 2],
    ['2', 3],
    ['4', 9],
  ]);
  const b = new Map([
    ['1', 1],
    ['2', 1],
    ['3', 0],
  ]);
  assert.equal([pairedDifference(a, b)!.mean, pairedDifference(a, b)!.n], [1.5, 2]);
  assert.is(verdictOf(pairedDifference(a, new Map([['1', 5]]))), 'one seed');
  assert.is(verdictOf(pairedDifference(a, new Map([['7', 5]]))), 'no pair');
});

test("Holm's p values are those of R's p.adjust", () => {
  const adjusted = holm([0.01, 0.04, 0.03, 0.005]);
  [0.03, 0.06, 0.06, 0.02].forEach((p, i) => {
    near(adjusted[i]!, p);
  });
  assert.equal(holm([0.7, 0.9]), [1, 1]);
  assert.equal(holm([]), []);
});

test('a line through points has the interval of its scatter', () => {
  // R: confint(lm(c(1.1, 1.9, 3.2, 3.8) ~ c(1, 2, 3, 4)))
  const { slope, intercept, interval } = fitLine([
    [1, 1.1],
    [2, 1.9],
    [3, 3.2],
    [4, 3.8],
  ])!;
  near(slope, 0.94);
  near(intercept, 0.15);
  const error = Math.sqrt((0.01 ** 2 + 0.13 ** 2 + 0.23 ** 2 + 0.11 ** 2) / 2 / 5);
  near(interval![1] - slope, tFactor(2) * error);
  assert.is(
    fitLine([
      [1, 2],
      [3, 4],
    ])!.interval,
    undefined,
  );
  assert.is(
    fitLine([
      [1, 2],
      [1, 4],
    ]),
    undefined,
  );
  assert.is(fitLine([]), undefined);
});

test('the interval of a ratio is that of its logarithm', () => {
  const { mean, interval } = exponential(estimate([Math.log(2), Math.log(8)])!);
  near(mean, 4);
  near(interval![0] * interval![1], 16);
});

test.run();
