import { type Arm, CONTROL, groupBy, isTuned, measured, tunesRates } from '../../analysis/arms.js';
import type { RankingSide } from '../../analysis/compare.js';
import { type Estimate, estimate } from '../../analysis/estimate.js';
import { type Panel, type Point, type Series, setApart } from '../chart.js';
import {
  axesText,
  type Context,
  facets,
  legendOf,
  plotOf,
  scaleNote,
  styleOf,
  titleOfAxis,
  valuesOn,
} from '../context.js';
import type { Plot } from '../document.js';
import { nats, rate } from '../format.js';
import { heights, isLog, quantityScale, sameY, valueScale } from '../scales.js';
import { REFERENCE } from '../styles.js';

/** What runs came to, over the numbers that they differ in. */

const MEASURES: Readonly<Record<string, string>> = {
  nll: 'held-out loss (nats per token)',
  bits_per_byte: 'bits per byte',
  forgetting: 'forgetting (nats per token)',
};

export const titleOfMeasure = (measure: string): string =>
  MEASURES[measure] ?? measure.replace(/^exact_match\.?/, 'exact match ').trim();

const withSd = (x: number, { mean, sd }: Estimate, open = false): Point => ({
  x,
  y: mean,
  ...(sd !== undefined && { low: mean - sd, high: mean + sd }),
  ...(open && { open }),
});

/** A line per line over x, of what `valueOf` says of each arm. */
const seriesOver = (
  context: Context,
  arms: readonly Arm[],
  pointOf: (arm: Arm) => readonly Point[],
): Series[] =>
  [...groupBy(arms, ({ line }) => line).values()].map((group) => ({
    style: styleOf(context, group[0]!.line),
    points: group
      .flatMap(pointOf)
      .filter(({ x }) => Number.isFinite(x))
      .sort((a, b) => a.x - b.x),
  }));

/** A measure against x at the tuned lr. */
export function measureAgainst(context: Context, x: string, measure: string): Plot | undefined {
  const { view } = context;
  const title = titleOfMeasure(measure);
  const panels = facets(context, x).flatMap(({ axes, arms }): Panel[] => {
    const series = seriesOver(context, arms, (arm) => {
      const mean = estimate([...measured(arm, measure).values()]);
      return mean ? [withSd(Number(arm.axes[x]), mean, !isTuned(arm))] : [];
    });
    if (series.every(({ points }) => points.length === 0)) return [];
    const base = measure === 'forgetting' ? [zero(valuesOn(view.arms, x))] : [];
    const all = [...base, ...series];
    const xScale = valueScale(titleOfAxis(x), valuesOn(view.arms, x));
    return [{ title: axesText(axes), x: xScale, y: quantityScale(title, heights(all)), series: all }];
  });
  const shown = sameY(panels, (series) => quantityScale(title, heights(series)));
  const tunesRate = tunesRates(view.arms);
  const name = measure === 'nll' ? 'loss' : title.replace(/ \(.*/, '');
  return plotOf(
    tunesRate ? `${capital(name)} at the best learning rate against ${x}` : `${capital(name)} against ${x}`,
    `Means over seeds; bars are one s.d. over seeds, points without a bar have one seed. ` +
      `${tunesRate ? 'Each at its own best lr. Hollow: no optimum inside the grid, the best lr may do better. ' : ''}` +
      `Whether lines differ is in the paired comparisons, not in whether bars overlap. ` +
      `${scaleNote(context, view.arms)}`,
    legendOf(context, context.lines, measure === 'forgetting' ? 'the model without training' : undefined),
    shown.map(setApart),
  );
}

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

const zero = (values: readonly number[]): Series => ({
  style: REFERENCE,
  points: [Math.min(...values), Math.max(...values)].map((x) => ({ x, y: 0 })),
});

/** Every line against the first one: at one lr for all, and each at its best. */
export function rankings(context: Context): Plot | undefined {
  const { view, x, lines } = context;
  const first = lines.find((line) => line !== CONTROL);
  const ranking = view.fairest;
  if (x === undefined || first === undefined || ranking === undefined) return undefined;
  const isShown = ({ a, b }: { readonly a: Arm; readonly b: Arm }) => b.line === first && a.line !== CONTROL;
  const sides = {
    fixed: new Map(ranking.pairs.filter(isShown).map(({ a, fixed }) => [a, fixed])),
    tuned: new Map(
      view.comparisons.filter((one) => one.measure === 'nll' && isShown(one)).map((one) => [one.a, one]),
    ),
  } as const;
  if (sides.fixed.size === 0) return undefined;
  const values = valuesOn(view.arms, x);
  const panelOf = (title: string, side: ReadonlyMap<Arm, RankingSide>, arms: readonly Arm[]): Panel => {
    const mine = arms.filter((arm) => side.has(arm));
    const series = seriesOver(context, mine, (arm) => differencePoint(Number(arm.axes[x]), side.get(arm)!));
    const all = [zero(values), ...series];
    const label = `loss less that of ${first} (nats per token)`;
    return {
      title,
      x: valueScale(titleOfAxis(x), values),
      y: quantityScale(label, heights(all)),
      series: all,
    };
  };
  const panels = facets(context, x).flatMap(({ axes, arms }) => {
    const place = axesText(axes);
    const named = (title: string) => (place === '' ? title : `${title}, ${place}`);
    return [
      panelOf(named(`one lr for all: ${rate(ranking.lr)}`), sides.fixed, arms),
      panelOf(named('each at its best lr'), sides.tuned, arms),
    ];
  });
  return plotOf(
    'Ranking at one learning rate against ranking at tuned rates',
    `Below 0 a line is better than ${first}. Bars are 95 % intervals, paired by seed; one that holds 0 shows no ` +
      `difference, a point without a bar has one seed. ${rate(ranking.lr)} is the lr that most of them have run and ` +
      `that costs them least on average. A cross: it diverged there. The two panels have scales of their own. ${scaleNote(context, view.arms)}`,
    legendOf(context, lines, first),
    panels.map(setApart),
  );
}

function differencePoint(x: number, { difference, verdict }: RankingSide): Point[] {
  if (verdict === 'a diverged') return [{ x, y: Number.POSITIVE_INFINITY }];
  if (difference === undefined) return [];
  const [low, high] = difference.interval ?? [];
  return [{ x, y: difference.mean, ...(low !== undefined && high !== undefined && { low, high }) }];
}

/** Tokens and steps to a loss that all tuned runs reach, against x. */
export function toTarget(context: Context): Plot | undefined {
  const { view, x } = context;
  if (x === undefined) return undefined;
  const panels = view.targets.flatMap(({ facet, reached, nll }) =>
    (['tokens', 'steps'] as const).flatMap((unit): Panel[] => {
      const arms = reached.map(({ arm }) => arm);
      const series = seriesOver(context, arms, (arm) => [
        withSd(Number(arm.axes[x]), reached.find((one) => one.arm === arm)![unit], !isTuned(arm)),
      ]);
      const ys = heights(series).filter((y) => y > 0);
      if (ys.length === 0) return [];
      const title = [`${unit} to ${nats(nll)}`, axesText(facet.axes)].filter((part) => part !== '');
      const xScale = valueScale(titleOfAxis(x), valuesOn(view.arms, x));
      return [{ title: title.join(', '), x: xScale, y: quantityScale(unit, ys, isLog(ys), '~s'), series }];
    }),
  );
  return plotOf(
    `Tokens and steps to a target against ${x}`,
    `The target is the worst final held-out loss of any tuned run in the panel, so that all reach it; linear between ` +
      `evaluations. Means over seeds, bars are one s.d. Hollow: no optimum inside the grid. ` +
      `${scaleNote(context, view.arms)}`,
    legendOf(context, context.lines),
    panels.map(setApart),
  );
}
