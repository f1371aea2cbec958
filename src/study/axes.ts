import { InputError } from '../base/errors.js';
import { unknownOption } from '../base/nearestName.js';
import { camelCase, problemOfValue } from '../formats/configFile.js';
import { optionOf } from '../options/table.js';
import { TRAIN_OPTIONS } from '../options/train.js';
import type { Given } from '../prepare/resolveOptions.js';
import type { StudyConfig } from './config.js';
import { isScaled } from './moments.js';
import { withPaths } from './paths.js';
import type { AxisValue } from './records.js';
import { START, startOptions } from './starts.js';

/** What the axes of a study say: every option in one place alone, so that a cell's labels are what it runs with. */

export interface Axis {
  /** Of a list the option in camelCase, or `start`. */
  readonly name: string;
  /** A list of values, or names with the options of each. */
  readonly isList: boolean;
  readonly points: readonly AxisPoint[];
}

export interface AxisPoint {
  readonly label: AxisValue;
  readonly options: Given;
}

const RATE = 'lr';
const SEED = 'seed';

/** Axes whose labels are read: they have no names. */
const LISTS = [START, SEED];

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

/** Options that all cells have, and the axes that make them differ, but for rates and seeds. */
export interface Crossing {
  readonly shared: Given;
  readonly axes: readonly Axis[];
}

/** @throws InputError naming what is wrong with an option or an axis, or said in two places */
export function crossingOf(config: StudyConfig): Crossing {
  const shared = checkedGiven(config, 'options', config.options);
  const axes = Object.entries(config.axes).map(([name, values]) => axisOf(config, name, values));
  const names = axes.map(({ name }) => name);
  const twice = names.find((name, i) => names.indexOf(name) < i);
  if (twice !== undefined) {
    throw new InputError(`axes: expected each name once, found ${twice} again; call one of them otherwise`);
  }
  const rates: Axis[] =
    config.lr === undefined
      ? []
      : [{ name: RATE, isList: true, points: [{ label: '', options: { lr: 0 } }] }];
  checkPlaces(shared, [...rates, ...axes]);
  checkSeeds(config);
  return { shared, axes: axes.filter(({ name }) => name !== SEED) };
}

function axisOf(config: StudyConfig, written: string, values: StudyConfig['axes'][string]): Axis {
  const isList = Array.isArray(values);
  const name = isList ? camelCase(written) : written;
  if (OF_DEVICES.includes(camelCase(written))) throw oneForAll(`axes.${written}`, 'an axis');
  if (!isList && LISTS.includes(name)) {
    throw new InputError(
      `axes.${name}: expected a list, found names with options; call the axis otherwise, or give a list`,
    );
  }
  return { name, isList, points: isList ? listed(config, written, values) : named(config, name, values) };
}

function listed(config: StudyConfig, name: string, values: readonly (AxisValue | boolean)[]): AxisPoint[] {
  const labels = values.map((value) => (typeof value === 'boolean' ? String(value) : value));
  if (new Set(labels).size < labels.length) {
    throw new InputError(`axes.${name}: expected each value once, found ${labels.join(', ')}`);
  }
  if (name === START) {
    return labels.map(String).map((label) => ({
      label,
      options: withPaths(startOptions(label), config.folder),
    }));
  }
  return values.map((value, i) => ({
    label: labels[i]!,
    options: checkedGiven(config, 'axes', { [name]: value }),
  }));
}

function named(
  config: StudyConfig,
  name: string,
  values: Readonly<Record<string, Given | null>>,
): AxisPoint[] {
  return Object.entries(values).map(([label, given]) => {
    const where = `axes.${name}.${label}`;
    const options = checkedGiven(config, where, given ?? {});
    const ofDevice = OF_DEVICES.find((option) => Object.hasOwn(options, option));
    if (ofDevice !== undefined) throw oneForAll(where, ofDevice);
    if (Object.hasOwn(options, SEED)) throw saidBy(where, `axes.${SEED}`, SEED);
    return { label, options };
  });
}

/** Options by their names in code, each with a value that it may have. */
function checkedGiven({ folder }: StudyConfig, where: string, given: Given): Given {
  const checked: Record<string, unknown> = {};
  for (const [written, value] of Object.entries(given)) {
    const name = camelCase(written);
    const own = OWN.get(name);
    if (own !== undefined) throw saidBy(where, own, written);
    const option = optionOf(TRAIN_OPTIONS, name);
    if (!option) {
      const known = [...Object.keys(TRAIN_OPTIONS), ...(where === 'axes' ? [START] : [])];
      throw new InputError(`${where}: ${unknownOption(written, known)}`);
    }
    if (Object.hasOwn(checked, name)) {
      throw new InputError(`${where}.${written}: expected it once, found it again`);
    }
    const problem = name === 'beta2' && isScaled(value) ? undefined : problemOfValue(option, value);
    if (problem !== undefined) throw new InputError(`${where}.${written}: ${problem}`);
    checked[name] = option.many && !Array.isArray(value) ? [value] : value;
  }
  return withPaths(checked, folder);
}

/** An option of two axes would have the value of one, and one of every cell that an axis says the value of none. */
function checkPlaces(shared: Given, axes: readonly Axis[]): void {
  const places = new Map<string, string>();
  const [lists, others] = [axes.filter(({ isList }) => isList), axes.filter(({ isList }) => !isList)];
  for (const { name, points } of [...lists, ...others]) {
    const place = `axes.${name}`;
    for (const option of new Set(points.flatMap(({ options }) => Object.keys(options)))) {
      const other = places.get(option);
      if (other !== undefined) throw saidBy(place, other, option);
      places.set(option, place);
      const isEverywhere = points.every(({ options }) => Object.hasOwn(options, option));
      if (isEverywhere && Object.hasOwn(shared, option)) throw saidBy('options', place, option);
    }
  }
}

function checkSeeds(config: StudyConfig): void {
  for (const seed of seedsOf(config, config.seeds.best)) {
    const problem = problemOfValue(TRAIN_OPTIONS.seed, seed);
    if (problem !== undefined) throw new InputError(`seeds: ${problem}; give a smaller seed`);
  }
}

/** Seeds of a study, in the order in which they are spent. */
export function seedsOf({ axes, options }: StudyConfig, count: number): number[] {
  const own = axes[SEED];
  if (Array.isArray(own)) return own.map(Number);
  const first = Number(options.seed ?? 0);
  return Array.from({ length: count }, (_, i) => first + i);
}

const saidBy = (where: string, place: string, found: string): InputError =>
  new InputError(`${where}: expected ${place} to say it, found ${found}; leave it out`);

const oneForAll = (where: string, found: string): InputError =>
  new InputError(`${where}: expected one for all cells, found ${found}; give it among the options`);
