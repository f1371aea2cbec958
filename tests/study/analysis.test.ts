import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { CONTROL } from '#src/study/analysis/arms.js';
import { analyse, type ViewAnalysis } from '#src/study/analysis.js';
import type { CellRecord, StudyRecord } from '#src/study/records.js';
import {
  axesOf,
  branchesOf,
  SURFACE,
  type Surface,
  studyOf,
  syntheticCells,
  syntheticStudy,
} from './syntheticStudy.js';

const test = suite('study: analysis');

const small: Surface = {
  ...SURFACE,
  starts: SURFACE.starts.slice(0, 2),
  batches: [4, 16, 64],
  rates: SURFACE.rates.filter((lr) => lr > 3e-5 && lr < 2e-2),
};

const tokensOf = (study: StudyRecord): ViewAnalysis => analyse(study).views[0]!;
const comparisonsOf = (view: ViewAnalysis, measure = 'nll') =>
  view.comparisons.filter((one) => one.measure === measure);

test('without an effect, about one interval in twenty misses 0', () => {
  const alike = small.starts.map((start) => ({ ...start, bestRate: 5e-4, power: 0.5 }));
  let [missed, all] = [0, 0];
  for (let randomSeed = 0; randomSeed < 400; randomSeed++) {
    const view = tokensOf(
      syntheticStudy({
        ...small,
        starts: alike,
        rates: [3e-4, 5e-4, 9e-4],
        batches: [16],
        randomSeed,
        curvature: 1,
      }),
    );
    for (const { verdict } of comparisonsOf(view)) {
      all += 1;
      if (verdict === 'lower' || verdict === 'higher') missed += 1;
    }
  }
  assert.is(all, 400);
  // Binomial: 20 expected, s.d. 4.4.
  assert.ok(missed >= 8 && missed <= 33, `${missed} of ${all}`);
});

test('a large effect is found at its size, after correction too', () => {
  const starts = [small.starts[0]!, { ...small.starts[1]!, penalty: () => 0.2 }];
  const view = tokensOf(syntheticStudy({ ...small, starts, seeds: [1, 2, 3, 4, 5] }));
  for (const { verdict, corrected, difference, a, b } of comparisonsOf(view)) {
    assert.equal([a.line, b.line, verdict], ['pissa', 'random', 'higher']);
    assert.ok(Math.abs(difference!.mean - 0.2) < 0.01);
    assert.ok(corrected! < 0.05);
    assert.is(difference!.n, 5);
  }
});

test('what a seed adds to all of its runs takes no part in differences', () => {
  const view = tokensOf(syntheticStudy({ ...small, seedNoise: 5, cellNoise: 1e-4 }));
  for (const { difference } of comparisonsOf(view)) assert.ok(difference!.sd! < 0.01);
});

test('best rates, their ratios and slopes are those of the surface', () => {
  const view = tokensOf(syntheticStudy({ ...small, cellNoise: 1e-5, curvature: 0.1 }));
  for (const { axes, optimum } of view.arms) {
    assert.ok(optimum.kind === 'inside');
    const start = small.starts.find(({ name }) => name === axes.start)!;
    const best = start.bestRate * (Number(axes.batch) / 16) ** start.power;
    assert.ok(Math.abs(Math.log(optimum.best.mean / best)) < 0.01);
  }
  const ratio = view.ratios.find(({ a }) => a.axes.batch === 16)!;
  assert.ok(Math.abs(ratio.ratio.mean - 0.33) < 0.005);
  const slopes = view.slopes.map(({ line, slope }) => [line, Number(slope.toFixed(2))]);
  assert.equal(slopes, [
    ['random', 0.55],
    ['pissa', 0.45],
  ]);
});

test('a ranking that a fixed rate makes is told apart from the tuned one', () => {
  const starts = [
    { ...small.starts[0]!, bestRate: 2e-3, power: 0.8 },
    { ...small.starts[1]!, bestRate: 5e-4, power: 0.2 },
  ];
  const view = tokensOf(syntheticStudy({ ...small, starts, cellNoise: 1e-3 }));
  assert.ok(comparisonsOf(view).every(({ verdict }) => verdict === 'none'));
  const low = view.rankings.find(({ lr }) => Math.abs(lr / 5.62e-4 - 1) < 0.01)!.pairs;
  assert.equal(
    low.map(({ a, fixed }) => [a.axes.batch, fixed.verdict]),
    [
      [4, 'higher'],
      [16, 'lower'],
      [64, 'lower'],
    ],
  );
  assert.ok(low.every(({ tuned, flips }) => tuned.verdict === 'none' && flips !== 'shown'));
});

test('the fixed rate is one that most pairs have run, of those the cheapest', () => {
  const narrow = syntheticCells(small).filter(({ axes }) => {
    const start = small.starts.find(({ name }) => name === axes.start)!;
    const best = start.bestRate * (Number(axes.batch) / 16) ** start.power;
    return Math.abs(Math.log(Number(axes.lr) / best)) < 1;
  });
  const { rankings, fairest, shared } = tokensOf(studyOf(narrow, axesOf(small)));
  const most = Math.max(...rankings.map(({ pairs }) => pairs.length));
  assert.ok(most < 3, 'no lr is in every grid');
  assert.is(fairest!.pairs.length, most);
  assert.ok(shared.every(({ over }) => over !== 'all'));
  const whole = tokensOf(syntheticStudy(small));
  assert.is(whole.fairest!.lr, whole.shared.find(({ over }) => over === 'all')!.shared.lr);
});

test('one rate for all costs what the surface says', () => {
  const flat = small.starts.map((start) => ({ ...start, bestRate: 1e-3, power: 0 }));
  const [none] = tokensOf(syntheticStudy({ ...small, starts: flat, cellNoise: 0 })).shared;
  assert.ok(none!.shared.meanRegret === 0 && none!.shared.lr === 1e-3);
  const view = tokensOf(syntheticStudy({ ...small, cellNoise: 0 }));
  const all = view.shared.find(({ over }) => over === 'all')!.shared;
  assert.ok(all.worstRegret > all.meanRegret && all.meanRegret > 0.005);
  assert.is(all.arms, 6);
});

test('the control has no part in shared rates and rankings, but in comparisons', () => {
  const view = tokensOf(syntheticStudy({ ...small, starts: [SURFACE.starts[0]!, SURFACE.starts[3]!] }));
  assert.ok(view.shared.every(({ arms }) => arms.every(({ line }) => line !== CONTROL)));
  assert.ok(view.rankings.every(({ pairs }) => pairs.length === 0));
  assert.ok(comparisonsOf(view).some(({ a }) => a.line === CONTROL));
});

test('the control is held to the others, wherever it stands among the starts', () => {
  const [random, pissa, , full] = SURFACE.starts;
  for (const starts of [
    [full!, random!, pissa!],
    [random!, full!, pissa!],
  ]) {
    const view = tokensOf(syntheticStudy({ ...small, starts, batches: [16] }));
    const pairs = view.ratios.map(({ a, b }) => [a.line, b.line]);
    assert.equal(pairs, [
      ['pissa', 'random'],
      [CONTROL, 'random'],
      [CONTROL, 'pissa'],
    ]);
  }
});

test('full is the control among starts alone', () => {
  const cells = syntheticCells({ ...small, starts: [SURFACE.starts[0]!, SURFACE.starts[3]!] }).map(
    ({ axes: { start, ...rest }, ...cell }): CellRecord => ({ ...cell, axes: { text: start!, ...rest } }),
  );
  const { start, ...axes } = axesOf(small);
  const view = tokensOf(studyOf(cells, { text: ['random', 'full'], ...axes }));
  assert.ok(view.rankings.some(({ pairs }) => pairs.some(({ a }) => a.line === 'full')));
});

test('arms that were given a rate each are compared; one whose search has barely begun is not', () => {
  const cells = [1e-3, 1e-2].flatMap((lr, i) =>
    small.seeds.map((seed) => {
      const cell = syntheticCells({ ...small, batches: [16], rates: [lr], seeds: [seed] })[0]!;
      return { ...cell, key: `${i} ${seed}`, axes: { method: 'ab'[i]!, lr, seed } };
    }),
  );
  const axes = { method: ['a', 'b'], lr: [1e-3, 1e-2], seed: small.seeds };
  const kinds = (written: object) => {
    const view = tokensOf(studyOf(cells, axes, { config: { axes: { method: {}, ...written } } }));
    return [view.arms.map(({ optimum }) => optimum.kind), view.comparisons.length > 0];
  };
  const [fixed, edge] = [
    [['fixed', 'fixed'], true],
    [['edge', 'edge'], false],
  ];
  assert.equal(kinds({}), fixed);
  assert.equal(kinds({ lr: [1e-3] }), fixed);
  assert.equal(kinds({ lr: { from: { a: 1e-3, b: 1e-2 }, points: 1, extensions: 0 } }), fixed);
  assert.equal(kinds({ lr: { from: 1e-3, points: 1 } }), edge);
  assert.equal(kinds({ lr: { from: 1e-3, extensions: 0 } }), edge);
  assert.equal(kinds({ lr: [1e-3, 1e-2] }), edge);
});

test('where the optimum is at an edge nothing is compared', () => {
  const rates = small.rates.filter((lr) => lr < 3e-4);
  const view = tokensOf(syntheticStudy({ ...small, rates }));
  const edges = view.arms.filter(({ optimum }) => optimum.kind === 'edge');
  assert.ok(edges.length >= 4);
  assert.ok(view.comparisons.every(({ a, b }) => !edges.includes(a) && !edges.includes(b)));
  assert.ok(view.shared.every(({ arms }) => arms.every((arm) => !edges.includes(arm))));
});

test('one seed, missing seeds and failed cells', () => {
  const one = tokensOf(syntheticStudy({ ...small, seeds: [7] }));
  assert.ok(comparisonsOf(one).every(({ verdict }) => verdict === 'one seed'));
  const cells = syntheticCells(small).filter(({ axes }) => axes.start !== 'pissa' || axes.seed !== 2);
  const uneven = tokensOf(studyOf(cells, axesOf(small)));
  assert.ok(comparisonsOf(uneven).every(({ difference }) => difference!.n === 2));
  const failed = cells.map(
    (cell): CellRecord => (cell.axes.seed === 3 ? { ...cell, status: 'failed', measures: {} } : cell),
  );
  const rest = tokensOf(studyOf(failed, axesOf(small)));
  assert.ok(comparisonsOf(rest).every(({ verdict }) => verdict === 'one seed'));
  assert.ok(rest.arms.every(({ cells: all }) => all.some(({ status }) => status === 'failed')));
});

test('a loss that is not a number counts as diverged', () => {
  const cells = syntheticCells(small).map((cell) =>
    cell.axes.lr === small.rates[3] && cell.axes.seed === 1
      ? { ...cell, measures: { nll: Number.NaN } }
      : cell,
  );
  const view = tokensOf(studyOf(cells, axesOf(small)));
  for (const { points } of view.arms) assert.ok(points[3]!.diverged && points[3]!.loss === undefined);
});

test('tokens to the target are where the curve crosses it', () => {
  const view = tokensOf(syntheticStudy(small));
  const [target] = view.targets;
  assert.is(target!.reached.length, 6);
  for (const { arm, tokens, steps, seeds } of target!.reached) {
    assert.equal([tokens.n, seeds], [3, 3]);
    assert.ok(Math.abs(tokens.mean / steps.mean / (Number(arm.axes.batch) * 128) - 1) < 1e-9);
  }
  const slowest = Math.max(...target!.reached.map(({ tokens }) => tokens.mean));
  assert.is(target!.reached.find(({ tokens }) => tokens.mean === slowest)!.arm.axes.batch, 64);
});

test('branches bracket the critical batch', () => {
  const cells = syntheticCells(small);
  const from = cells.find(({ axes, status }) => axes.batch === 16 && status === 'done')!;
  const branches = branchesOf(from, [100, 300], (step) => (step === 100 ? 2 : 64));
  const { critical, views } = analyse(studyOf([...cells, ...branches], axesOf(small)));
  assert.equal(
    critical.map(({ step, within, beyond, batchTokens }) => [step, within, beyond, Math.round(batchTokens)]),
    [
      [100, 2, 4, 2048],
      [300, 16, undefined, 2048],
    ],
  );
  assert.ok(views[0]!.arms.every((arm) => arm.cells.every(({ branch }) => branch === undefined)));
  const diverged = branches.map((cell) =>
    cell.branch!.factor === 4 ? { ...cell, status: 'diverged' as const } : cell,
  );
  assert.is(analyse(studyOf([...cells, ...diverged], axesOf(small))).critical[1]!.within, 2);
  const unpaired = branches.filter(({ branch }) => branch!.factor > 1);
  assert.equal(analyse(studyOf([...cells, ...unpaired], axesOf(small))).critical, []);
});

test('branches of a run that is in two views count once', () => {
  const [from] = syntheticCells({ ...small, batches: [16], seeds: [1] });
  const cells = [from!, ...branchesOf(from!, [100], () => 2)];
  const twice = [...cells, ...cells.map((cell): CellRecord => ({ ...cell, view: 'steps' }))];
  const { critical } = analyse(studyOf(twice, axesOf(small)));
  assert.equal(critical, analyse(studyOf(cells, axesOf(small))).critical);
  assert.is(critical[0]!.branches.length, 5);
});

test('views are never mixed', () => {
  const { views } = analyse(syntheticStudy({ ...small, views: ['steps', 'tokens'] }));
  assert.equal(
    views.map(({ view }) => view),
    ['tokens', 'steps'],
  );
  for (const { arms, view } of views)
    assert.ok(arms.every((arm) => arm.view === view && arm.cells.every((cell) => cell.view === view)));
});

test('numbers on the only axis are compared with each other, seed by seed', () => {
  const losses: Readonly<Record<number, number>> = { 0: 0.84, 0.5: 0.83, 1: 0.84 };
  const [model] = syntheticCells({
    ...small,
    starts: [small.starts[0]!],
    batches: [16],
    rates: [5e-4],
    seeds: [1],
  });
  const cells = Object.entries(losses).flatMap(([alpha, nll]) =>
    [1, 2, 3].map((seed): CellRecord => {
      const measures = { nll: nll + 0.01 * seed + 1e-4 * (seed === 2 ? Number(alpha) - 0.4 : 0) };
      return { ...model!, key: `${alpha}-${seed}`, axes: { alpha: Number(alpha), seed }, measures };
    }),
  );
  const found = comparisonsOf(tokensOf(studyOf(cells, { alpha: [0, 0.5, 1], seed: [1, 2, 3] })));
  const shown = found.map(({ a, b, verdict }) => [a.axes.alpha, b.axes.alpha, verdict]);
  assert.equal(shown, [
    [0.5, 0, 'lower'],
    [1, 0, 'none'],
    [1, 0.5, 'higher'],
  ]);
  assert.ok(Math.abs(found[0]!.difference!.mean + 0.01) < 1e-4);
});

test('a study without rates, and one without cells', () => {
  const cells = syntheticCells({ ...small, rates: [5e-4] });
  const { lr: _, ...axes } = axesOf(small);
  const view = tokensOf(studyOf(cells, axes));
  assert.ok(view.arms.every(({ optimum, tuned }) => optimum.kind === 'fixed' && tuned.size === 3));
  assert.ok(comparisonsOf(view).every(({ difference }) => difference!.n === 3));
  assert.equal([view.ratios, view.slopes, view.shared, view.rankings], [[], [], [], []]);
  assert.equal(analyse(studyOf([], axesOf(small))).views, []);
});

test.run();
