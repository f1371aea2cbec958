import { InputError } from '../base/errors.js';
import { unknownOption } from '../base/nearestName.js';
import { camelCase, problemOfValue } from '../formats/configFile.js';
import { isStart } from '../options/init.js';
import { optionOf, problemsOf, withDefaults } from '../options/table.js';
import { TRAIN_OPTIONS } from '../options/train.js';
import { uselessOptions } from '../prepare/idleOptions.js';
import { type Given, resolveOptions, withMiniature } from '../prepare/resolveOptions.js';
import type { StudyConfig } from './config.js';
import { beta2At, isScaled } from './moments.js';
import { withPaths } from './paths.js';
import type { AxisValue, View } from './records.js';
import { GRID_RATIO, type Grid, gridAround, type Spot } from './search.js';
import { STARTS } from './starts.js';

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

/** Options that the study gives itself. */
const OWN = new Map(
  Object.entries({
    steps: 'length',
    tokens: 'length',
    epochs: 'length',
    warmup: 'warmup',
    evalEvery: 'curve',
    checkpointEvery: 'checkpoints',
    keep: 'checkpoints',
    out: '--out',
    fork: 'branches',
    resume: '--out',
    config: '--config',
    dryRun: '--dry-run',
  }),
);

/** What all cells share, since a study has one device. */
const OF_DEVICES = ['device', 'teacherDevice', 'threads', 'kernels', 'tune'];

/** What an adapter says of itself: a cell that starts from one has these from there. */
const OF_ADAPTERS = ['rank', 'loraAlpha', 'rslora', 'targetModules', 'rankPattern', 'alphaPattern'];

interface AxisPoint {
  readonly label: AxisValue;
  readonly options: Given;
}

/**
 * All lines of a study, in the order of its axes: the first one varies slowest. What would do nothing in a line is left
 * out of it, and of lines that come to the same one is kept.
 * @throws InputError naming what is wrong with an option, an axis or a combination of them
 */
export function linesOf(config: StudyConfig): Line[] {
  const shared = checkedGiven(config, 'options', config.options);
  const axes = Object.entries(config.axes)
    .filter(([name]) => name !== 'seed')
    .map(([name, values]) => ({ name, points: pointsOf(config, name, values) }));
  let products: { axes: Record<string, AxisValue>; given: Given }[] = [{ axes: {}, given: shared }];
  for (const { name, points } of axes) {
    products = products.flatMap((before) =>
      points.map(({ label, options }) => ({
        axes: { ...before.axes, [name]: label },
        given: { ...before.given, ...options },
      })),
    );
  }
  const lines = products.flatMap((product) =>
    (['tokens', 'steps'] as const)
      .filter((view) => config.length[view] !== undefined)
      .map((view) => lineOf(config, product, view)),
  );
  const unique = new Map(lines.map((line) => [JSON.stringify([line.axes, line.view, line.given]), line]));
  return [...unique.values()];
}

function pointsOf(config: StudyConfig, name: string, values: StudyConfig['axes'][string]): AxisPoint[] {
  if (OF_DEVICES.includes(camelCase(name))) {
    throw new InputError(
      `axes.${name}: expected one for all cells, found an axis; give it among the options`,
    );
  }
  if (Array.isArray(values)) {
    const labels = values.map((value) => (typeof value === 'boolean' ? String(value) : value));
    if (new Set(labels).size < labels.length) {
      throw new InputError(`axes.${name}: expected each value once, found ${labels.join(', ')}`);
    }
    if (name === 'start') return values.map((value) => startPoint(config, String(value)));
    return values.map((value, i) => ({
      label: labels[i]!,
      options: checkedGiven(config, `axes`, { [name]: value }),
    }));
  }
  return Object.entries(values).map(([label, options]) => ({
    label,
    options: checkedGiven(config, `axes.${name}.${label}`, options ?? {}),
  }));
}

function startPoint(config: StudyConfig, label: string): AxisPoint {
  return { label, options: STARTS.get(label) ?? withPaths({ init: label }, config.folder) };
}

/** Options by their names in code, each with a value that it may have. */
function checkedGiven({ folder }: StudyConfig, where: string, given: Given): Given {
  const checked: Record<string, unknown> = {};
  for (const [written, value] of Object.entries(given)) {
    const name = camelCase(written);
    const own = OWN.get(name);
    if (own !== undefined) {
      throw new InputError(`${where}: expected ${own} to say it, found ${written}; leave it out`);
    }
    const option = optionOf(TRAIN_OPTIONS, name);
    if (!option) {
      const known = [...Object.keys(TRAIN_OPTIONS), ...(where === 'axes' ? ['start'] : [])];
      throw new InputError(`${where}: ${unknownOption(written, known)}`);
    }
    const problem = name === 'beta2' && isScaled(value) ? undefined : problemOfValue(option, value);
    if (problem !== undefined) throw new InputError(`${where}.${written}: ${problem}`);
    checked[name] = option.many && !Array.isArray(value) ? [value] : value;
  }
  return withPaths(checked, folder);
}

function lineOf(
  config: StudyConfig,
  product: { readonly axes: Record<string, AxisValue>; readonly given: Given },
  view: View,
): Line {
  const idle = idleNames(product.given);
  const without = <T>(values: Readonly<Record<string, T>>) =>
    Object.fromEntries(Object.entries(values).filter(([name]) => !idle.includes(name)));
  const [axes, given] = [without(product.axes), without(product.given)];
  const where = Object.entries({ ...axes, view }).map(([name, value]) => `${name} ${value}`);
  try {
    const { grid, rateAt } = rates(config, axes.start, given.lr);
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
    throw new InputError(`cell ${where.join(', ')}: ${error.message}`);
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

/** Seeds of a study, in the order in which they are spent. */
export function seedsOf({ axes, options }: StudyConfig, count: number): number[] {
  const own = axes.seed;
  if (Array.isArray(own)) return own.map(Number);
  const first = Number(options.seed ?? 0);
  return Array.from({ length: count }, (_, i) => first + i);
}

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
