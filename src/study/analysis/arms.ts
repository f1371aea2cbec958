import { searchesRates } from '../config.js';
import type { AxisValue, CellRecord, StudyRecord, View } from '../records.js';
import { FULL, START } from '../starts.js';
import type { BySeed } from './estimate.js';
import {
  bestRateBySeed,
  findOptimum,
  type Optimum,
  type RatePoint,
  type RateResults,
  ratePoints,
  type Valley,
  valleyOf,
} from './optimum.js';

/** A study's cells by the role that each axis has: `lr` is tuned, `seed` pairs, one axis makes lines, numbers are x. */

export const RATE = 'lr';
export const SEED = 'seed';
/** The line of the start `full`, which trains every weight: a control, with learning rates of its own. */
export const CONTROL = 'full fine-tuning (control)';

export interface Roles {
  /** The axis of the lines: `start`, or the first one with words. */
  readonly line?: string;
  /** Axes of numbers with at least two values, `batch` first: what results are drawn against. */
  readonly xs: readonly string[];
}

export function rolesOf({ axes }: StudyRecord): Roles {
  const names = Object.keys(axes).filter((name) => name !== RATE && name !== SEED);
  const worded = names.find((name) => axes[name]!.some((value) => typeof value === 'string'));
  const line = names.includes(START) ? START : worded;
  const isX = (name: string) =>
    name !== line && axes[name]!.length > 1 && axes[name]!.every((value) => typeof value === 'number');
  const xs = names.filter(isX).sort((a, b) => Number(b === 'batch') - Number(a === 'batch'));
  return { ...(line !== undefined && { line }), xs };
}

/** What the line at a place on the axes is called; an option that says nothing somewhere has no value there. */
export function nameOfLine({ line }: Roles, axes: Arm['axes']): string {
  if (line === undefined) return 'all runs';
  if (axes[line] === undefined) return `no ${line}`;
  return line === START && axes[line] === FULL ? CONTROL : String(axes[line]);
}

/** All cells that differ in learning rate and seed alone. */
export interface Arm {
  readonly view: View;
  /** Its place on every axis but `lr` and `seed`. */
  readonly axes: Readonly<Record<string, AxisValue>>;
  /** What its value on the axis of the lines is called. */
  readonly line: string;
  /** Every cell that ended. */
  readonly cells: readonly CellRecord[];
  readonly results: readonly RateResults[];
  readonly points: readonly RatePoint[];
  readonly optimum: Optimum;
  readonly bestRates: BySeed;
  readonly valley?: Valley;
  /** Finished cells by seed at the grid's best lr, at an edge too; all of them where it was given one lr. */
  readonly tuned: ReadonlyMap<string, CellRecord>;
}

export const groupBy = <T>(items: readonly T[], keyOf: (item: T) => string): Map<string, T[]> => {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const group = groups.get(keyOf(item));
    if (group) group.push(item);
    else groups.set(keyOf(item), [item]);
  }
  return groups;
};

const without = (axes: CellRecord['axes'], names: readonly string[]): Record<string, AxisValue> =>
  Object.fromEntries(Object.entries(axes).filter(([name]) => !names.includes(name)));

const seedOf = ({ axes }: CellRecord): string => String(axes[SEED] ?? 0);

const isFinished = ({ status, measures }: CellRecord): boolean =>
  status === 'done' && Number.isFinite(measures.nll);

/** A run whose loss is infinite or not a number diverged, whatever it is called. */
const isDiverged = (cell: CellRecord): boolean =>
  cell.status === 'diverged' || (cell.status === 'done' && !isFinished(cell));

/** @param tolerance of a valley's width, as a share of its lowest loss */
export function armsOf(study: StudyRecord, roles: Roles, tolerance: number): Arm[] {
  const names = Object.keys(study.axes);
  const indexOf = (name: string, { axes }: CellRecord) => study.axes[name]!.indexOf(axes[name]!);
  const ordered = study.cells
    .filter(({ branch }) => branch === undefined)
    .sort((a, b) => {
      const name = names.find((axis) => indexOf(axis, a) !== indexOf(axis, b));
      return name === undefined ? 0 : indexOf(name, a) - indexOf(name, b);
    });
  const keyOf = ({ view, axes }: CellRecord) => JSON.stringify([view, placeOf(without(axes, [RATE, SEED]))]);
  const isSearched = searchesRates(study.config);
  return [...groupBy(ordered, keyOf).values()].map((cells) => {
    const results = resultsByRate(cells);
    return armOf(cells, roles, isSearched || results.length > 1 ? results : undefined, tolerance);
  });
}

/** @param searched what its lrs came to; undefined where it was given one */
function armOf(
  cells: readonly CellRecord[],
  roles: Roles,
  searched: readonly RateResults[] | undefined,
  tolerance: number,
): Arm {
  const { view, axes } = cells[0]!;
  const optimum: Optimum = searched ? findOptimum(searched) : { kind: 'fixed' };
  const results = searched ?? [];
  const points = ratePoints(results);
  const lowest = Math.min(...points.map(({ loss }) => loss ?? Number.POSITIVE_INFINITY));
  const valley = valleyOf(points, tolerance * lowest);
  const isTuned = (cell: CellRecord) =>
    isFinished(cell) && (!('lr' in optimum) || cell.axes[RATE] === optimum.lr) && optimum.kind !== 'none';
  return {
    view,
    axes: without(axes, [RATE, SEED]),
    line: nameOfLine(roles, axes),
    cells,
    results,
    points,
    optimum,
    bestRates: bestRateBySeed(results, optimum),
    ...(valley && { valley }),
    tuned: new Map(cells.filter(isTuned).map((cell) => [seedOf(cell), cell])),
  };
}

const resultsByRate = (cells: readonly CellRecord[]): RateResults[] =>
  [...groupBy(cells, ({ axes }) => String(axes[RATE]))].map(([lr, group]) => ({
    lr: Number(lr),
    losses: lossesBySeed(group),
    diverged: group.filter(isDiverged).length,
  }));

const lossesBySeed = (cells: readonly CellRecord[]): BySeed =>
  new Map(cells.filter(isFinished).map((cell) => [seedOf(cell), cell.measures.nll!]));

/** A measure of an arm's tuned cells by seed, of those that have it. */
export const measured = ({ tuned }: Arm, measure: string): BySeed =>
  new Map(
    [...tuned].flatMap(([seed, { measures }]) => {
      const value = measures[measure];
      return value !== undefined && Number.isFinite(value) ? [[seed, value] as const] : [];
    }),
  );

/** The axis whose values are compared with each other: that of the lines; where there is none, the first of numbers. */
export const comparedAxis = ({ line, xs }: Roles): string | undefined => line ?? xs[0];

/** What an arm is called where it is compared: its line, or its place on the axis of numbers. */
export const comparedName = ({ line, axes }: Arm, roles: Roles): string =>
  roles.line === undefined && roles.xs[0] !== undefined ? `${roles.xs[0]} ${axes[roles.xs[0]]}` : line;

/** Whether its tuned cells are at an optimum, or at the one lr there was to choose. */
export const isTuned = ({ optimum: { kind } }: Arm): boolean => kind === 'inside' || kind === 'fixed';

/** Whether any of them looked for its lr among several. */
export const tunesRates = (arms: readonly Arm[]): boolean =>
  arms.some(({ optimum: { kind } }) => kind !== 'fixed');

/** Key of a place on axes, whatever their order. */
export const placeOf = (axes: Arm['axes']): string =>
  JSON.stringify(Object.entries(axes).sort(([a], [b]) => (a < b ? -1 : 1)));

/** The arms that stand beside each other: equal on every axis but `axis`, in one view. */
export const besides = (arms: readonly Arm[], axis: string | undefined): Arm[][] => [
  ...groupBy(arms, ({ view, axes }) =>
    JSON.stringify([view, placeOf(without(axes, axis === undefined ? [] : [axis]))]),
  ).values(),
];

/** The arms of one picture: equal on every axis but those of lines and of x. */
export interface Facet {
  readonly view: View;
  /** Its place on the other axes that vary. */
  readonly axes: Readonly<Record<string, AxisValue>>;
  readonly arms: readonly Arm[];
}

export function facetsOf(arms: readonly Arm[], varied: readonly string[], roles: Roles, x?: string): Facet[] {
  const taken = [roles.line, x].filter((name) => name !== undefined);
  const others = ({ axes }: Arm) =>
    without(
      axes,
      Object.keys(axes).filter((name) => taken.includes(name) || !varied.includes(name)),
    );
  return [...groupBy(arms, (arm) => JSON.stringify([arm.view, placeOf(others(arm))])).values()].map(
    (group) => ({ view: group[0]!.view, axes: others(group[0]!), arms: group }),
  );
}
