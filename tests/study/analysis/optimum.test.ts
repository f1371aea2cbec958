import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  adjustedMeans,
  findOptimum,
  type RateResults,
  ratePoints,
  valleyOf,
} from '#src/study/analysis/optimum.js';

const test = suite('study: best learning rates');

const GRID = [1e-4, 1e-3, 1e-2, 1e-1, 1];

/** Results at the rates of a grid, of one parabola in ln lr per seed. */
const parabolas = (best: readonly number[], rates = GRID): RateResults[] =>
  rates.map((lr) => ({
    lr,
    losses: new Map(best.map((at, seed) => [String(seed), 2 + 0.1 * Math.log(lr / at) ** 2])),
    diverged: 0,
  }));

const withDiverged = (results: readonly RateResults[], lr: number): RateResults[] =>
  results.map((rate) => (rate.lr === lr ? { ...rate, losses: new Map(), diverged: 1 } : rate));

const near = (a: number, b: number) => assert.ok(Math.abs(a / b - 1) < 1e-9, `${a} is not ${b}`);

test('the vertex of a parabola is found between grid points', () => {
  const optimum = findOptimum(parabolas([0.017]));
  assert.ok(optimum.kind === 'inside');
  assert.is(optimum.lr, 1e-2);
  near(optimum.best.mean, 0.017);
  assert.is(optimum.best.interval, undefined);
});

test('over seeds it is a geometric mean with an interval', () => {
  const optimum = findOptimum(parabolas([0.01, 0.02]));
  assert.ok(optimum.kind === 'inside');
  near(optimum.best.mean, Math.sqrt(0.01 * 0.02));
  assert.is(optimum.best.n, 2);
  assert.ok(optimum.best.interval![0] < 0.01 && optimum.best.interval![1] > 0.02);
});

test('an edge of the grid is never a best', () => {
  assert.equal(findOptimum(parabolas([1e-6])), { kind: 'edge', lr: 1e-4, side: 'lowest' });
  assert.equal(findOptimum(parabolas([50])), { kind: 'edge', lr: 1, side: 'highest' });
  assert.is(findOptimum(parabolas([0.01], [1e-2])).kind, 'edge');
  assert.is(findOptimum(parabolas([0.01], [1e-2, 1e-1])).kind, 'edge');
  assert.is(findOptimum([]).kind, 'none');
});

test('a rate at which runs diverged bounds the best, and is none itself', () => {
  const optimum = findOptimum(withDiverged(parabolas([0.02]), 1e-1));
  assert.ok(optimum.kind === 'inside');
  assert.equal([optimum.lr, optimum.refined], [1e-2, false]);
  const oneOfTwo = parabolas([0.02, 0.02]).map((rate) =>
    rate.lr === 1e-2 ? { ...rate, diverged: 1 } : rate,
  );
  const other = findOptimum(oneOfTwo);
  assert.ok(other.kind === 'inside');
  assert.is(other.lr, 1e-1);
  assert.is(findOptimum(GRID.reduce(withDiverged, parabolas([0.02]))).kind, 'none');
});

test('a curve that is flat or not convex has a best on the grid', () => {
  const flat = findOptimum([1, 2, 4].map((lr) => ({ lr, losses: new Map([['0', 3]]), diverged: 0 })));
  assert.equal(flat, { kind: 'edge', lr: 1, side: 'lowest' });
  const plateau = findOptimum(
    [3.1, 3, 3, 3.1].map((loss, i) => ({ lr: 10 ** i, losses: new Map([['0', loss]]), diverged: 0 })),
  );
  assert.ok(plateau.kind === 'inside');
  near(plateau.best.mean, 10 ** 1.5);
});

test('a lucky seed at one rate does not make it the best', () => {
  // Seed b is .5 better everywhere; only 1e-2 and 1e-1 have it.
  const results = parabolas([0.005]).map(({ lr, losses, diverged }) => {
    const loss = losses.get('0')!;
    const both = lr === 1e-2 || lr === 1e-1;
    return { lr, diverged, losses: new Map([['a', loss], ...(both ? [['b', loss - 0.5] as const] : [])]) };
  });
  const points = ratePoints(results);
  const differences = points.map(({ loss }, i) => loss! - [...results[i]!.losses.values()][0]!);
  for (const difference of differences) assert.ok(Math.abs(difference - differences[0]!) < 1e-6);
});

test('adjusted means are plain ones where all rates have the same seeds', () => {
  const rates = [
    new Map([
      ['1', 1],
      ['2', 3],
    ]),
    new Map([
      ['1', 2],
      ['2', 9],
    ]),
  ];
  assert.equal(
    adjustedMeans(rates).map((mean) => Number(mean.toFixed(9))),
    [2, 5.5],
  );
});

test('a valley ends where the loss, linear in log lr, leaves its tolerance', () => {
  const points = [2.5, 2, 2.2, 2.9].map((loss, i) => ({ lr: 10 ** i, loss, diverged: false }));
  const { low, high, open } = valleyOf(points, 0.1)!;
  near(low, 10 ** 0.8);
  near(high, 10 ** 1.5);
  assert.equal(open, { low: false, high: false });
});

test('a valley is open where the grid ends, or runs diverge, before it does', () => {
  const points = [2.05, 2, 2.05].map((loss, i) => ({ lr: 10 ** i, loss, diverged: false }));
  assert.equal(valleyOf(points, 0.1), { low: 1, high: 100, open: { low: true, high: true } });
  const diverging = [points[0]!, points[1]!, { lr: 100, diverged: true }];
  assert.equal(valleyOf(diverging, 0.01)!.open, { low: false, high: true });
  assert.is(valleyOf([], 0.1), undefined);
});

test.run();
