import { InputError } from '../base/errors.js';
import { isStart } from '../options/init.js';
import { problemsOf, withDefaults } from '../options/table.js';
import { TRAIN_OPTIONS } from '../options/train.js';
import { uselessOptions } from '../prepare/idleOptions.js';
import { type Given, resolveOptions, withMiniature } from '../prepare/resolveOptions.js';
import { type Crossing, crossingOf } from './axes.js';
import type { StudyConfig } from './config.js';
import { beta2At, isScaled } from './moments.js';
import type { AxisValue, View } from './records.js';
import { GRID_RATIO, type Grid, gridAround, type Spot } from './search.js';
import { START } from './starts.js';

/** Cells that differ in learning rate and seed alone. */
export interface Line {
  /** Its place on all other axes, those left out that say nothing to it: `rank` of full fine-tuning. */
  readonly axes: Readonly<Record<string, AxisValue>>;
  readonly view: View;
  /** Options of `train` that all its cells have. */
  readonly given: Given;
  readonly grid: Grid;
  /** The learning rate at a place of the grid. */
  readonly rateAt: (place: number) => number;
  /** Rows of a batch, and tokens of one. */
  readonly batch: number;
  readonly sequence: number;
  readonly steps: number;
}

/** A line's place on its axes, in words. */
export const placeOf = ({ axes, view }: Pick<Line, 'axes' | 'view'>): string =>
  [...Object.entries(axes), ['view', view]].map(([name, value]) => `${name} ${value}`).join(', ');

/** What an adapter says of itself: a cell that starts from one has these from there. */
const OF_ADAPTERS = ['rank', 'loraAlpha', 'rslora', 'targetModules', 'rankPattern', 'alphaPattern'];

/** A place on all axes but those of rates and seeds. */
interface Product {
  readonly axes: Readonly<Record<string, AxisValue>>;
  readonly given: Given;
}

/**
 * All lines of a study, in the order of its axes: the first one varies slowest. What would do nothing in a line is left
 * out of it, and of lines that come to the same one is kept.
 * @throws InputError naming what is wrong with an option, an axis or a combination of them
 */
export function linesOf(config: StudyConfig): Line[] {
  const crossing = crossingOf(config);
  checkFrom(config, crossing);
  let products: Product[] = [{ axes: {}, given: crossing.shared }];
  for (const { name, points } of crossing.axes) {
    products = products.flatMap((before) =>
      points.map(({ label, options }) => ({
        axes: { ...before.axes, [name]: label },
        given: { ...before.given, ...options },
      })),
    );
  }
  const lists = crossing.axes.filter(({ isList }) => isList).map(({ name }) => name);
  const lines = products.flatMap((product) =>
    (['tokens', 'steps'] as const)
      .filter((view) => config.length[view] !== undefined)
      .map((view) => lineOf(config, product, lists, view)),
  );
  const unique = new Map(lines.map((line) => [JSON.stringify([line.axes, line.view, line.given]), line]));
  return [...unique.values()];
}

/** Rates that belong to starts are of those that there are. */
function checkFrom({ lr }: StudyConfig, { axes }: Crossing): void {
  if (lr === undefined || Array.isArray(lr) || typeof lr.from === 'number') return;
  const starts = axes.find(({ name }) => name === START)?.points.map(({ label }) => label);
  if (starts === undefined) {
    throw new InputError(
      'axes.lr.from: expected one rate, found rates for starts without axes.start; give a number',
    );
  }
  const other = Object.keys(lr.from).find((name) => !starts.includes(name));
  if (other !== undefined) {
    throw new InputError(
      `axes.lr.from: expected starts of the study (${starts.join(', ')}), found ${other}; leave it out`,
    );
  }
}

/** @param lists axes of an option's values, whose labels go where the option says nothing; a name says more than one. */
function lineOf(config: StudyConfig, product: Product, lists: readonly string[], view: View): Line {
  const idle = idleNames(product.given);
  const without = <T>(values: Readonly<Record<string, T>>, names: readonly string[]) =>
    Object.fromEntries(Object.entries(values).filter(([name]) => !names.includes(name)));
  const axes = without(
    product.axes,
    idle.filter((name) => lists.includes(name)),
  );
  const given = without(product.given, idle);
  try {
    const { grid, rateAt } = rates(config, axes[START], given.lr);
    const { batch, sequence, evalData, evalFraction } = resolveOptions(
      plain({ ...given, lr: rateAt(grid.places[0]!), steps: 1 }, 1),
    ).options;
    if (evalData === undefined && evalFraction === 0) {
      throw new InputError(
        'expected text to hold out, found none; give evalData, or an evalFraction above 0',
      );
    }
    const { tokens, steps } = config.length;
    const length = view === 'steps' ? steps! : Math.ceil(tokens! / (batch * sequence));
    return { axes, view, given, grid, rateAt, batch, sequence, steps: length };
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    throw new InputError(`cell ${placeOf({ axes, view })}: ${error.message}`);
  }
}

/** Options that say nothing beside the others, and what an adapter to start from says itself. */
function idleNames(given: Given): readonly string[] {
  const all = plain(withMiniature(given), 1);
  const standIn = { student: 'model', data: ['text'], ...all };
  const problems = problemsOf(TRAIN_OPTIONS, standIn);
  if (problems.length > 0) throw new InputError(problems.join('; '));
  const idle: string[] = uselessOptions(withDefaults(TRAIN_OPTIONS, standIn));
  const isAdapter = typeof given.init === 'string' && !isStart(given.init);
  return isAdapter ? [...idle, ...OF_ADAPTERS] : idle;
}

/** Options with numbers in place of what depends on the batch. */
const plain = (given: Given, batch: number): Given =>
  isScaled(given.beta2) ? { ...given, beta2: beta2At(given.beta2, batch) } : given;

/** @param own rate of the options, where there is no axis of rates */
function rates(
  { lr }: StudyConfig,
  start: AxisValue | undefined,
  own: unknown,
): Pick<Line, 'grid' | 'rateAt'> {
  if (lr === undefined) {
    const rate = Number(own ?? TRAIN_OPTIONS.lr.default);
    return { grid: { places: [0], extensions: 0 }, rateAt: () => rate };
  }
  if (Array.isArray(lr)) {
    const sorted = [...lr].sort((a, b) => a - b);
    return { grid: { places: sorted.map((_, i) => i), extensions: 0 }, rateAt: (place) => sorted[place]! };
  }
  const from = typeof lr.from === 'number' ? lr.from : ownValue(lr.from, String(start));
  if (from === undefined) {
    throw new InputError(`axes.lr.from: expected a rate for start ${start}, found none; add one`);
  }
  const rateAt = (place: number) => Number((from * GRID_RATIO ** place).toPrecision(4));
  return { grid: gridAround(lr.points, lr.extensions), rateAt };
}

/** Names that objects inherit are none. */
const ownValue = <T>(values: Readonly<Record<string, T>>, name: string): T | undefined =>
  Object.hasOwn(values, name) ? values[name] : undefined;

/** A stop leaves a checkpoint of its own, which must not cost one of those of the study; those of whole models are large. */
const SPARE_CHECKPOINTS = 16;

/** Options of the cell of a line at a spot. */
export function cellGiven(config: StudyConfig, line: Line, { place }: Spot, seed: number): Given {
  const { steps, batch } = line;
  const spare = line.given.trainable === 'all' ? 1 : SPARE_CHECKPOINTS;
  return {
    ...plain(line.given, batch),
    lr: line.rateAt(place),
    seed,
    steps,
    warmup: Math.round(config.warmup * steps),
    evalEvery: Math.ceil(steps / config.curve),
    checkpointEvery: Math.ceil(steps / config.checkpoints),
    keep: config.checkpoints + spare,
  };
}
