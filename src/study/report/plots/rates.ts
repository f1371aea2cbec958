import { type Arm, CONTROL, groupBy, RATE, tunesRates } from '../../analysis/arms.js';
import { estimate } from '../../analysis/estimate.js';
import { type Panel, type Point, type Series, setApart } from '../chart.js';
import {
  axesText,
  type Context,
  facets,
  legendOf,
  orderLegend,
  plotOf,
  scaleNote,
  styleOf,
  titleOfAxis,
  valuesOn,
} from '../context.js';
import type { Plot } from '../document.js';
import { heights, isLog, quantityScale, rateScale, sameY, valleyScale, valueScale } from '../scales.js';
import { orderStyle, REFERENCE } from '../styles.js';

/** Loss over learning rates, and best rates over what they are tuned for. */

const LOSS = 'held-out loss (nats per token)';

/** Losses of an arm over its lrs, with the s.d. over seeds; infinite where a run diverged. */
const ratePointsOf = ({ points, results }: Arm): Point[] =>
  points.map(({ lr, loss, diverged }) => {
    if (diverged || loss === undefined) return { x: lr, y: Number.POSITIVE_INFINITY };
    const sd = estimate([...results.find((rate) => rate.lr === lr)!.losses.values()])?.sd;
    return { x: lr, y: loss, ...(sd !== undefined && { low: loss - sd, high: loss + sd }) };
  });

/** Loss against lr: a line per x in a panel per line; without an x, a line per line. */
export function lossAgainstRate(context: Context): Plot | undefined {
  const { view, x } = context;
  if (!tunesRates(view.arms)) return undefined;
  const xs = x === undefined ? [] : valuesOn(view.arms, x);
  const looks = (arm: Arm) =>
    x === undefined ? styleOf(context, arm.line) : orderStyle(xs.indexOf(Number(arm.axes[x])), xs.length);
  const rates = view.arms.flatMap(({ points }) => points.map(({ lr }) => lr));
  if (rates.length === 0) return undefined;
  const panels = facets(context, x).flatMap(({ axes, arms }) => {
    const groups = x === undefined ? [[...arms]] : [...groupBy(arms, ({ line }) => line).values()];
    return groups.map((group): Panel => {
      const series = group.map((arm): Series => ({ style: looks(arm), points: ratePointsOf(arm) }));
      const title = [x === undefined ? '' : group[0]!.line, axesText(axes)];
      return {
        title: title.filter((part) => part !== '').join(', '),
        x: rateScale('peak learning rate', rates),
        y: valleyScale(LOSS, series),
        series,
      };
    });
  });
  const shown = sameY(panels, (series) => valleyScale(LOSS, series));
  return plotOf(
    'Loss against learning rate',
    `Means over seeds, adjusted for the seeds that each rate has; bars are one s.d. over seeds, points without a bar ` +
      `have one seed. A caret at the upper edge: the loss is above the picture; a cross: a run diverged. ` +
      `${scaleNote(context, view.arms)}`,
    x === undefined ? legendOf(context, context.lines) : orderLegend(x, xs),
    shown,
  );
}

/** Best lr against x, both logarithmic, with the fitted slope and the line of a square root. */
export function bestRateAgainst(context: Context, x: string): Plot | undefined {
  const { view } = context;
  if (!tunesRates(view.arms)) return undefined;
  const panels = facets(context, x).flatMap(({ axes, arms }): Panel[] => {
    const points = [...groupBy(arms, ({ line }) => line).values()].map((group) => ({
      style: { ...styleOf(context, group[0]!.line), line: false },
      points: group.flatMap((arm) => bestRatePoint(arm, x)),
    }));
    const all = points.flatMap((series) => series.points);
    if (all.length === 0) return [];
    const values = all.map((point) => point.x);
    const ends = [Math.min(...values), Math.max(...values)] as const;
    const series = [
      ...(isLog(values) ? [squareRoot(all, ends)] : []),
      ...fits(context, x, axes, ends),
      ...points,
    ];
    return [
      {
        title: axesText(axes),
        x: valueScale(titleOfAxis(x), valuesOn(view.arms, x)),
        y: rateScale('best peak learning rate', heights(series)),
        series,
      },
    ];
  });
  return plotOf(
    `Best learning rate against ${x}`,
    `The lowest point of the parabola through the grid's best lr and its neighbours, in log lr; bars are 95 % ` +
      `intervals over seeds. Hollow: no optimum inside the grid, the best is at or beyond this edge. Dashed in a ` +
      `line's colour: the fitted power of ${x}. ${scaleNote(context, view.arms)}`,
    legendOf(context, context.lines, `rate proportional to the square root of ${x}`),
    panels.map(setApart),
  );
}

function bestRatePoint({ optimum, axes }: Arm, x: string): Point[] {
  const at = Number(axes[x]);
  if (optimum.kind === 'edge') return [{ x: at, y: optimum.lr, open: true }];
  if (optimum.kind !== 'inside') return [];
  const { mean, interval } = optimum.best;
  return [{ x: at, y: mean, ...(interval && { low: interval[0], high: interval[1] }) }];
}

type Ends = readonly [low: number, high: number];

/** Through the middle of all points that are results. */
function squareRoot(points: readonly Point[], ends: Ends): Series {
  const sound = points.filter(({ open }) => !open);
  const used = sound.length > 0 ? sound : points;
  const middle = used.reduce((sum, { x, y }) => sum + Math.log(y) - Math.log(x) / 2, 0) / used.length;
  return { style: REFERENCE, points: ends.map((x) => ({ x, y: Math.exp(middle) * Math.sqrt(x) })) };
}

const fits = (context: Context, x: string, axes: Arm['axes'], ends: Ends): Series[] =>
  context.view.slopes
    .filter((slope) => slope.x === x && JSON.stringify(slope.facet.axes) === JSON.stringify(axes))
    .map(({ line, slope, intercept }) => ({
      style: { color: styleOf(context, line).color, dash: true },
      points: ends.map((at) => ({ x: at, y: Math.exp(intercept + slope * Math.log(at)) })),
    }));

/** Top Hessian eigenvalue of each start against its best lr, both over those of the first line. */
export function sharpnessAgainstRate(context: Context): Plot | undefined {
  const { view, lines } = context;
  const first = lines.find((line) => line !== CONTROL);
  const sharpness = ({ cells }: Arm) =>
    estimate(cells.flatMap(({ measures }) => (measures.sharpness === undefined ? [] : [measures.sharpness])))
      ?.mean;
  const points = view.ratios.flatMap(({ a, b, ratio }) => {
    const [over, under] = [sharpness(a), sharpness(b)];
    if (b.line !== first || a.line === CONTROL || !over || !under) return [];
    const [low, high] = ratio.interval ?? [];
    const point: Point = { x: over / under, y: ratio.mean, ...(low && high && { low, high }) };
    return [{ line: a.line, point }];
  });
  if (points.length === 0) return undefined;
  const xs = [1, ...points.map(({ point }) => point.x)];
  const ends = [Math.min(...xs), Math.max(...xs)] as const;
  const series: Series[] = [
    { style: REFERENCE, points: ends.map((at) => ({ x: at, y: 1 / at })) },
    ...[...groupBy(points, ({ line }) => line)].map(([line, group]) => ({
      style: { ...styleOf(context, line), line: false },
      points: group.map(({ point }) => point),
    })),
  ];
  const panel: Panel = {
    title: '',
    x: quantityScale(`sharpness at step 0 over that of ${first}`, ends, true, '.2~g'),
    y: quantityScale(`best ${RATE} over that of ${first}`, heights(series), true, '.2~g'),
    series,
  };
  return plotOf(
    'Sharpness of the start against the best learning rate',
    `A point for every place where both have an optimum inside the grid; bars are 95 % intervals, paired by seed. ` +
      `On the dashed line the best rate is inverse to the top Hessian eigenvalue. ${scaleNote(context, view.arms)}`,
    legendOf(
      context,
      points.map(({ line }) => line),
      'rate inverse to sharpness',
    ),
    [panel],
  );
}
