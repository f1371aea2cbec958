import { type Arm, CONTROL, comparedName, type Facet, facetsOf } from '../analysis/arms.js';
import type { Analysis, ViewAnalysis } from '../analysis.js';
import type { AxisValue, CellRecord } from '../records.js';
import type { Panel, Style } from './chart.js';
import type { LegendItem, Plot } from './document.js';
import { list, short } from './format.js';
import { CONTROL_STYLE, lineStyle, orderStyle, REFERENCE } from './styles.js';

/** One view of a study, with the names and looks that all of its plots and tables share. */
export interface Context {
  readonly analysis: Analysis;
  readonly view: ViewAnalysis;
  /** Lines in the order of their axis. */
  readonly lines: readonly string[];
  readonly x?: string;
}

export function contextOf(analysis: Analysis, view: ViewAnalysis): Context {
  const x = analysis.roles.xs[0];
  const lines = [...new Set(view.arms.map(({ line }) => line))];
  return { analysis, view, lines, ...(x !== undefined && { x }) };
}

/** What an arm is called in a comparison. */
export const comparedAs = ({ analysis: { roles } }: Context, arm: Arm): string => comparedName(arm, roles);

export const styleOf = ({ lines }: Context, line: string): Style =>
  line === CONTROL ? CONTROL_STYLE : lineStyle(lines.filter((other) => other !== CONTROL).indexOf(line));

/** Lines of a plot, in order, and the reference it has. */
export function legendOf(context: Context, shown: readonly string[], reference?: string): LegendItem[] {
  const names = context.lines.filter((line) => shown.includes(line));
  return [
    ...names.map((line) => ({ name: line, style: styleOf(context, line) })),
    ...(reference === undefined ? [] : [{ name: reference, style: REFERENCE }]),
  ];
}

export const orderLegend = (name: string, values: readonly AxisValue[]): LegendItem[] =>
  values.map((value, i) => ({ name: `${name} ${value}`, style: orderStyle(i, values.length) }));

const TITLES: Readonly<Record<string, string>> = {
  batch: 'batch size (rows)',
  alpha: 'alpha (weight of the teacher)',
  rank: 'rank r',
  loraAlpha: 'LoRA alpha',
  sequence: 'sequence length (tokens)',
};

/** An axis with its unit. */
export const titleOfAxis = (name: string): string => TITLES[name] ?? name;

export const axesText = (axes: Readonly<Record<string, AxisValue>>): string =>
  Object.entries(axes)
    .map(([name, value]) => `${name} ${value}`)
    .join(', ');

/** Values that arms have on an axis of numbers, ascending. */
export const valuesOn = (arms: readonly Arm[], x: string): number[] =>
  [...new Set(arms.flatMap(({ axes }) => (axes[x] === undefined ? [] : Number(axes[x]))))].sort(
    (a, b) => a - b,
  );

export const facets = ({ analysis, view }: Context, x?: string): Facet[] =>
  facetsOf(view.arms, analysis.varied, analysis.roles, x);

/** Where an arm is, in words: the axes that vary, its line first. */
export const placeText = (
  { analysis: { varied, roles } }: Context,
  { axes, line }: Arm,
  withLine = true,
): string => {
  const names = varied.filter((name) => name !== roles.line && axes[name] !== undefined);
  const own = withLine && roles.line !== undefined ? [line] : [];
  return [...own, ...names.map((name) => `${name} ${axes[name]}`)].join(', ') || 'all runs';
};

const DEFAULT_RANK = 8;

/** The factor that an adapter's output is scaled by, in words; undefined where there is no adapter. */
function scaleOfCell({ options }: CellRecord): string | undefined {
  if (options.trainable === 'all') return undefined;
  const isAdapter = ![undefined, 'random', 'pissa', 'milora'].includes(options.init as string | undefined);
  if (isAdapter && options.loraAlpha === undefined) return 'as in its adapter';
  const rank = Number(options.rank ?? DEFAULT_RANK);
  const alpha = Number(options.loraAlpha ?? 2 * rank);
  return short(options.rslora === true ? alpha / Math.sqrt(rank) : alpha / rank);
}

/** States alpha / r of every line among arms: whether the best lr depends on it is disputed, so no plot goes without. */
export function scaleNote(context: Context, arms: readonly Arm[]): string {
  const lines = context.lines.flatMap((line) => {
    const scales = arms.filter((arm) => arm.line === line).map(({ cells }) => scaleOfCell(cells[0]!));
    const known = [...new Set(scales.filter((scale) => scale !== undefined))];
    return known.length === 0 ? [] : [{ line, scale: known.join(' or ') }];
  });
  const all = [...new Set(lines.map(({ scale }) => scale))];
  if (all.length === 0) return '';
  if (all.length === 1) return `LoRA scale alpha / r: ${all[0]}.`;
  return `LoRA scale alpha / r: ${list(lines.map(({ line, scale }) => `${scale} (${line})`))}.`;
}

const MOST_PANELS = 24;

/**
 * A plot of as many panels as can be looked at, with a sentence on the others, and the legend of what is in them;
 * undefined without panels.
 */
export function plotOf(
  title: string,
  caption: string,
  legend: readonly LegendItem[],
  all: readonly Panel[],
): Plot | undefined {
  const panels = all.slice(0, MOST_PANELS);
  if (panels.length === 0) return undefined;
  const note =
    all.length > MOST_PANELS
      ? ` The first ${MOST_PANELS} of ${all.length} panels are shown; the tables have all numbers.`
      : '';
  const series = panels.flatMap((panel) => panel.series).filter(({ points }) => points.length > 0);
  const used = new Set(series.map(({ style }) => style.color));
  const shown = legend.filter(({ style }) => used.has(style.color));
  return { title, caption: `${caption}${note}`.trim(), legend: shown, panels };
}

const MOST_PLACES = 4;

/** At most four of ordered values, evenly spread, the first and last among them. */
export const spread = <T>(values: readonly T[], most = MOST_PLACES): T[] =>
  values.length <= most
    ? [...values]
    : Array.from({ length: most }, (_, i) => values[Math.round((i * (values.length - 1)) / (most - 1))]!);
