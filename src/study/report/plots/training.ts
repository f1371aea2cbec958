import { type Arm, groupBy, placeOf } from '../../analysis/arms.js';
import type { CriticalBatch } from '../../analysis/critical.js';
import { meanOf } from '../../analysis/estimate.js';
import type { DynamicsPoint } from '../../records.js';
import type { Panel, Point, Series } from '../chart.js';
import {
  axesText,
  type Context,
  facets,
  legendOf,
  plotOf,
  scaleNote,
  spread,
  styleOf,
  valuesOn,
} from '../context.js';
import type { Plot } from '../document.js';
import { heights, isLog, quantityScale, sameY, valueScale } from '../scales.js';
import { orderStyle } from '../styles.js';

/** What happens while runs train, at their tuned learning rate. */

/** A place in a run. */
interface Moment {
  readonly step: number;
  readonly tokens: number;
}

const unitOf = ({ view }: Context): 'tokens' | 'steps' => view.view;

const momentOf = (context: Context, { step, tokens }: Moment): number =>
  unitOf(context) === 'tokens' ? tokens : step;

/** Means over the seeds that have a value at a step, of all steps that most seeds have. */
function meanCurve<T extends Moment>(
  context: Context,
  { tuned }: Arm,
  curveOf: (cell: Arm['cells'][number]) => readonly T[],
  readPoint: (point: T) => number,
): Point[] {
  const points = [...tuned.values()].flatMap((cell) => [...curveOf(cell)]);
  const bySteps = [...groupBy(points, ({ step }) => String(step)).values()];
  const most = bySteps.reduce((largest, { length }) => Math.max(largest, length), 0);
  return bySteps
    .filter(({ length }) => length === most)
    .map((group) => ({ x: momentOf(context, group[0]!), y: meanOf(group.map(readPoint)) }))
    .filter(({ y }) => Number.isFinite(y))
    .sort((a, b) => a.x - b.x);
}

/** The arms of a facet at some of the values of x, with a title each. */
function placesOf(
  context: Context,
  most?: number,
): { readonly title: string; readonly arms: readonly Arm[] }[] {
  const { x, view } = context;
  return facets(context, x).flatMap(({ axes, arms }) => {
    if (x === undefined) return [{ title: axesText(axes), arms }];
    return spread(valuesOn(view.arms, x), most).map((value) => ({
      title: [`${x} ${value}`, axesText(axes)].filter((part) => part !== '').join(', '),
      arms: arms.filter((arm) => arm.axes[x] === value),
    }));
  });
}

const someOf = ({ x, view }: Context, most: number): string =>
  x !== undefined && valuesOn(view.arms, x).length > most ? ` ${most} of the values of ${x} are shown.` : '';

function panelOf(
  context: Context,
  title: string,
  label: string,
  series: readonly Series[],
  log = false,
  format = '~g',
): Panel {
  const xs = series.flatMap(({ points }) => points.map(({ x }) => x));
  const x = quantityScale(unitOf(context), xs, false, '~s');
  return { title, x, y: quantityScale(label, heights(series), log, format), series };
}

const seriesOf = (context: Context, arms: readonly Arm[], pointsOf: (arm: Arm) => Point[]): Series[] =>
  arms
    .map((arm) => ({ style: styleOf(context, arm.line), points: pointsOf(arm) }))
    .filter(({ points }) => points.length > 0);

/** Held-out loss over training. */
export function learningCurves(context: Context): Plot | undefined {
  const label = 'held-out loss (nats per token)';
  const panels = placesOf(context).flatMap(({ title, arms }): Panel[] => {
    const series = seriesOf(context, arms, (arm) =>
      meanCurve(
        context,
        arm,
        ({ curve }) => curve,
        ({ nll }) => nll,
      ),
    );
    return series.length === 0 ? [] : [panelOf(context, title, label, series)];
  });
  const shown = sameY(panels, (series) => quantityScale(label, heights(series)));
  return plotOf(
    'Learning curves',
    `Means over seeds of each line's tuned runs.${someOf(context, 4)} ${scaleNote(context, context.view.arms)}`,
    legendOf(context, context.lines),
    shown,
  );
}

const DYNAMICS: readonly (readonly [
  label: string,
  readPoint: (point: DynamicsPoint) => number,
  log: boolean,
])[] = [
  ['norm of the change over that of W', ({ norm }) => norm, true],
  ['stable rank of the change', ({ stable_rank }) => stable_rank, false],
  ["share inside W's first directions", ({ top }) => top, false],
  ["share inside W's last directions", ({ bottom }) => bottom, false],
];
const DYNAMICS_PLACES = 2;

/** What the adapter does to the weights over training. */
export function dynamicsPlot(context: Context): Plot | undefined {
  const panels = placesOf(context, DYNAMICS_PLACES).flatMap(({ title, arms }) =>
    DYNAMICS.flatMap(([label, readPoint, logarithmic]): Panel[] => {
      const known = (arm: Arm) => meanCurve(context, arm, ({ dynamics }) => dynamics, readPoint);
      const log =
        logarithmic && isLog(arms.flatMap((arm) => known(arm).map(({ y }) => y)).filter((y) => y > 0));
      const series = seriesOf(context, arms, (arm) => known(arm).filter(({ y }) => !log || y > 0));
      return series.length === 0 ? [] : [panelOf(context, title, label, series, log)];
    }),
  );
  return plotOf(
    'What the adapter does to the weights',
    `Of the change delta W that an adapter makes, means over its layers and over seeds: its Frobenius norm over that ` +
      `of W, its stable rank |delta W|_F^2 / |delta W|_2^2, and the shares of |delta W|_F^2 inside the spans of W's first ` +
      `and last r singular vectors, the mean of left and right ones.${someOf(context, DYNAMICS_PLACES)} ${scaleNote(context, context.view.arms)}`,
    legendOf(context, context.lines),
    panels,
  );
}

const BINS = 16;

/** Medians of the noise scale in 16 equal parts of a run, over all seeds. */
function noiseScale(context: Context, { tuned }: Arm): Point[] {
  const points = [...tuned.values()].flatMap(({ training }) =>
    training.flatMap((point) =>
      point.noise_scale !== null && point.noise_scale > 0
        ? [{ x: momentOf(context, point), y: point.noise_scale }]
        : [],
    ),
  );
  const end = points.reduce((last, { x }) => Math.max(last, x), 0);
  const bins = groupBy(points, ({ x }) => String(Math.min(BINS - 1, Math.floor((x / end) * BINS))));
  return [...bins.values()]
    .map((bin) => ({ x: meanOf(bin.map(({ x }) => x)), y: median(bin.map(({ y }) => y)) }))
    .sort((a, b) => a.x - b.x);
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2;
}

/** The interval in which a critical batch lies, in tokens per step; open above: hollow, at the largest that was tried. */
function criticalPoint(
  context: Context,
  { step, tokens, within, beyond, batchTokens }: CriticalBatch,
): Point {
  const [low, high] = [within * batchTokens, (beyond ?? within) * batchTokens];
  const x = momentOf(context, { step, tokens: tokens ?? 0 });
  return { x, y: low, low, high, open: beyond === undefined };
}

/** Critical batch and noise scale over training. */
export function criticalPlot(context: Context): Plot | undefined {
  const { analysis, lines } = context;
  const criticalOf = (arm: Arm) =>
    analysis.critical.filter((one) => arm.cells.some(({ key }) => key === one.from));
  const panels = placesOf(context).flatMap(({ title, arms }): Panel[] => {
    const noise = seriesOf(context, arms, (arm) => noiseScale(context, arm)).map(({ style, points }) => ({
      style: { ...style, dash: true },
      points,
    }));
    const branched = seriesOf(context, arms, (arm) =>
      criticalOf(arm).map((one) => criticalPoint(context, one)),
    ).map(({ style, points }) => ({ style: { ...style, line: false }, points }));
    const series = [...noise, ...branched];
    return series.length === 0
      ? []
      : [panelOf(context, title, 'batch (tokens per step)', series, true, '~s')];
  });
  const hasBranches = analysis.critical.some(({ from }) =>
    context.view.arms.some(({ cells }) => cells.some(({ key }) => key === from)),
  );
  return plotOf(
    hasBranches ? 'Critical batch and noise scale over training' : 'Noise scale over training',
    `${hasBranches ? 'With a bar: the largest batch whose branch stayed within tolerance of the plain one, up to the next that was tried and did not; hollow: every batch that was tried did. ' : ''}` +
      `Dashed: the gradient noise scale in labels, medians over parts of the runs and seeds; it is a proxy, ` +
      `branches are the measurement.${someOf(context, 4)} ${scaleNote(context, context.view.arms)}`,
    legendOf(context, lines),
    panels,
  );
}

/** Loss of branches over their factor, a line per checkpoint that was branched from. */
export function branchPlot(context: Context): Plot | undefined {
  const { critical } = context.analysis;
  const mine = critical.filter(({ from }) =>
    context.view.arms.some(({ cells }) => cells.some(({ key }) => key === from)),
  );
  if (mine.length === 0) return undefined;
  const steps = [...new Set(mine.map(({ step }) => step))].sort((a, b) => a - b);
  const looks = (step: number) => orderStyle(steps.indexOf(step), steps.length);
  const panels = [...groupBy(mine, ({ axes }) => placeOf(axes)).values()].map((group): Panel => {
    const series = group.map(({ branches, step }) => ({
      style: looks(step),
      points: branches.map(({ factor, nll }) => ({ x: factor, y: nll })),
    }));
    const factors = group.flatMap(({ branches }) => branches.map(({ factor }) => factor));
    return {
      title: axesText(group[0]!.axes),
      x: valueScale('batch over that of the run', factors),
      y: quantityScale('held-out loss (nats per token)', heights(series)),
      series,
    };
  });
  return plotOf(
    'Branches: loss after equal tokens at a larger batch',
    'From one checkpoint of a run, with the rate times the square root of the factor; one seed each. A cross: it diverged.',
    steps.map((step) => ({ name: `from step ${step}`, style: looks(step) })),
    panels,
  );
}
