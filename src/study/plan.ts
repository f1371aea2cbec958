import type { Given } from '../prepare/resolveOptions.js';
import { resolveOptions } from '../prepare/resolveOptions.js';
import { learningRate } from '../training/schedule.js';
import { seedsOf } from './axes.js';
import { branchesIn, branchSize, branchSteps, checkBranches } from './branches.js';
import type { StudyConfig } from './config.js';
import { cellGiven, type Line, linesOf, placeOf } from './lines.js';
import { beta2At, isScaled } from './moments.js';
import type { AxisValue, Branch, CellRecord } from './records.js';
import { boundsOf, type Search, type Seeds, type Spot, search, type Wanted } from './search.js';

/** A cell that is to be run, or has been. */
export interface Job {
  /** Its place in the study: line, place of the rate and number of the seed; of a branch, also step and factor. */
  readonly id: string;
  readonly axes: Readonly<Record<string, AxisValue>>;
  readonly line: Line;
  /** All options of `train` that are not the defaults. */
  readonly options: Given;
  /** Those that it is started with: of a branch, what differs from the run that it begins in. */
  readonly given: Given;
  readonly tokens: number;
  readonly branch?: Branch;
  /** Lower ones first. */
  readonly turn: number;
}

const BRANCH_TURN = 10_000;

/**
 * What a study still has to run, as far as it is known: a function of what its cells came to. Lines are searched side by
 * side, coarse first, so that a picture of all of them is there early.
 */
export class StudyPlan {
  readonly lines: readonly Line[];
  readonly #config: StudyConfig;
  readonly #seeds: Seeds;
  readonly #records = new Map<string, { readonly job: Job; readonly record: CellRecord }>();

  /** @throws InputError for options that no cell can have, see `linesOf`, and for branches that none has */
  constructor(config: StudyConfig) {
    this.#config = config;
    const { seed } = config.axes;
    const own = Array.isArray(seed) ? seed.length : undefined;
    this.#seeds = own === undefined ? config.seeds : { everywhere: own, best: own };
    this.lines = linesOf(config);
    checkBranches(config, this.lines);
  }

  /** Puts down what a job came to. */
  add(job: Job, record: CellRecord): void {
    this.#records.set(job.id, { job, record });
  }

  /** Of all cells that have ended, by their places in the study, whatever came first. */
  get records(): CellRecord[] {
    const all = [...this.#records.values()];
    const rank = ({ job, record }: (typeof all)[number]) => [
      this.lines.indexOf(job.line),
      record.branch ? 1 : 0,
      Number(record.axes.lr),
      Number(record.axes.seed),
      record.branch?.step ?? 0,
      record.branch?.factor ?? 0,
    ];
    return all
      .map((entry) => ({ entry, at: rank(entry) }))
      .sort((a, b) => a.at.map((x, i) => x - b.at[i]!).find((difference) => difference !== 0) ?? 0)
      .map(({ entry }) => entry.record);
  }

  /** Jobs that are known and not done, in the order in which to do them. */
  get jobs(): Job[] {
    return this.#jobs(({ wanted }) => wanted);
  }

  /** Those of them that are to be run whatever the others come to: in any order, or at one time. */
  get sureJobs(): Job[] {
    return this.#jobs(({ wanted, sure }) => wanted.slice(0, sure));
  }

  #jobs(chosen: (found: Search) => readonly Wanted[]): Job[] {
    const jobs = this.lines.flatMap((line, number) => {
      const found = this.searchOf(line);
      const cells = chosen(found).map((spot) => this.#cellJob(line, number, spot, spot.turn));
      return found.wanted.length > 0 ? cells : this.#branchJobs(line, number, found);
    });
    // Of one turn, the order of the lines: sorting is stable.
    return jobs.sort((a, b) => a.turn - b.turn);
  }

  /** One job of every line, from the middle of its grid: what can be known before anything has run. */
  get firstJobs(): Job[] {
    return this.lines.map((line, number) => {
      const { places } = line.grid;
      return this.#cellJob(line, number, { place: places[Math.floor((places.length - 1) / 2)]!, seed: 0 }, 0);
    });
  }

  /** The job of a cell that has ended. */
  jobOf(key: string): Job {
    return [...this.#records.values()].find(({ record }) => record.key === key)!.job;
  }

  /** How far the search of a line is. */
  searchOf(line: Line): Search {
    const number = this.lines.indexOf(line);
    return search(line.grid, this.#seeds, (spot) => {
      const record = this.#records.get(idOf(number, spot))?.record;
      if (!record) return undefined;
      if (record.status === 'failed') return Number.NaN;
      return record.status === 'diverged' ? Number.POSITIVE_INFINITY : (record.measures.nll ?? Number.NaN);
    });
  }

  /** Cells that a line has for certain, and those that it may come to, branches aside. */
  boundsOf(line: Line): { readonly least: number; readonly most: number } {
    return boundsOf(line.grid, this.#seeds);
  }

  /** Branches of a line: cells, and tokens of all of them. */
  branchesOf(line: Line): { readonly cells: number; readonly tokens: number } {
    const sizes = this.#branchPlaces(line).map(({ factor }) => branchSize(this.#config, line, factor));
    const tokens = sizes.reduce((sum, { batch, steps }) => sum + steps * batch * line.sequence, 0);
    return { cells: sizes.length, tokens };
  }

  /** The values of every axis, in order; of the learning rate as far as it was extended. */
  get axes(): Record<string, AxisValue[]> {
    const axes: Record<string, AxisValue[]> = {};
    for (const line of this.lines) {
      const rates = this.searchOf(line).places.map(line.rateAt);
      for (const [name, value] of Object.entries(line.axes)) {
        axes[name] = [...new Set([...(axes[name] ?? []), value])];
      }
      axes.lr = [...new Set([...(axes.lr ?? []), ...rates])];
    }
    axes.lr?.sort((a, b) => Number(a) - Number(b));
    axes.seed = seedsOf(this.#config, this.#seeds.best);
    return axes;
  }

  /** What a reader of the results should know. */
  get notes(): string[] {
    return [...this.#openSearches, ...this.#withoutDynamics];
  }

  /** Lines whose optimum does not lie inside their grid. */
  get #openSearches(): string[] {
    return this.lines.flatMap((line) => {
      const { wanted, isInside, best } = this.searchOf(line);
      if (line.grid.extensions === 0 || wanted.length > 0 || isInside) return [];
      const where = placeOf(line);
      const found =
        best === undefined ? 'no finite loss' : `the lowest loss at its edge, lr ${line.rateAt(best)}`;
      return [
        `${where}: expected an optimum inside of the grid, found ${found}; give more extensions or another from`,
      ];
    });
  }

  /** Cells of adapters that were run when nobody asked what they do to the weights. */
  get #withoutDynamics(): string[] {
    if (!this.#config.measures.dynamics) return [];
    const without = [...this.#records.values()].filter(
      ({ job: { branch, line }, record: { status, dynamics } }) =>
        status === 'done' && !branch && line.given.trainable !== 'all' && dynamics.length === 0,
    );
    if (without.length === 0) return [];
    return [
      `dynamics: expected those of all cells with adapters, found ${without.length} without: their checkpoints are gone, or damaged; ` +
        'delete their folders to have them run again',
    ];
  }

  /** Cells of a line, each with the steps whose checkpoints branches may still begin in. */
  keptSteps(line: Line): Map<string, readonly number[]> {
    const found = this.searchOf(line);
    const number = this.lines.indexOf(line);
    const begun = idOf(number, { place: found.best ?? 0, seed: 0 });
    const mayBranch = (id: string) =>
      found.wanted.length > 0
        ? branchesIn(this.#config, line)
        : id === begun && this.#branchJobs(line, number, found).length > 0;
    const own = [...this.#records.values()].filter(({ job }) => job.line === line);
    return new Map(
      own.map(({ job, record }) => [
        record.key,
        !job.branch && mayBranch(job.id) ? branchSteps(this.#config, line) : [],
      ]),
    );
  }

  #cellJob(line: Line, number: number, spot: Spot, turn: number): Job {
    const seed = seedsOf(this.#config, this.#seeds.best)[spot.seed]!;
    const given = cellGiven(this.#config, line, spot, seed);
    return {
      id: idOf(number, spot),
      axes: { ...line.axes, lr: line.rateAt(spot.place), seed },
      line,
      options: given,
      given,
      tokens: line.steps * line.batch * line.sequence,
      turn,
    };
  }

  /** Where the best cell of a line branches. */
  #branchPlaces(line: Line): { readonly step: number; readonly factor: number }[] {
    if (!branchesIn(this.#config, line)) return [];
    return branchSteps(this.#config, line).flatMap((step) =>
      this.#config.branches!.factors.map((factor) => ({ step, factor })),
    );
  }

  /** Branches of the cell at a line's optimum, with its first seed. */
  #branchJobs(line: Line, number: number, { best }: Search): Job[] {
    if (best === undefined) return [];
    const parent = this.#records.get(idOf(number, { place: best, seed: 0 }))!;
    const jobs = this.#branchPlaces(line).map(({ step, factor }) => this.#branchJob(parent, step, factor));
    return jobs.filter(({ id }) => !this.#records.has(id));
  }

  /**
   * Equal tokens from a checkpoint on, at a multiple of its batch size and at the rate it had come to, times the root of
   * that multiple (arXiv 2505.23971): constant, since a schedule would end at other steps.
   */
  #branchJob(parent: { readonly job: Job; readonly record: CellRecord }, step: number, factor: number): Job {
    const { line, given } = parent.job;
    const { batch, steps } = branchSize(this.#config, line, factor);
    const { lr, warmup, schedule, decay } = resolveOptions(given).options;
    const rate = learningRate({ lr, warmup, schedule, decay, steps: line.steps }, step);
    const scaled = Number((rate * Math.sqrt(factor)).toPrecision(6));
    const { beta2 } = line.given;
    const from = parent.record.key;
    const changed = {
      ...{ batch, lr: scaled, schedule: 'constant', warmup: 0, steps: step + steps },
      ...(isScaled(beta2) ? { beta2: beta2At(beta2, batch) } : {}),
      ...{ evalEvery: step + steps, checkpointEvery: step + steps, keep: 1 },
    };
    return {
      id: `${parent.job.id}@${step}x${factor}`,
      axes: { ...parent.job.axes, batch, lr: scaled },
      line,
      options: { ...given, ...changed, microBatch: undefined },
      given: changed,
      tokens: steps * batch * line.sequence,
      branch: { from, step, factor },
      turn: BRANCH_TURN,
    };
  }
}

const idOf = (line: number, { place, seed }: Spot): string => `${line}/${place}/${seed}`;
