import type { MetricsRecord } from '../records.js';
import type { Place } from '../world/world.js';
import type { Job, StudyPlan } from './plan.js';
import type { CellRecord, RunningCell, StudyProgress } from './records.js';

/** How far a rank is: the cell that it runs, and the tokens and seconds of those that it has run. */
export interface RankState {
  readonly cell: RunningCell | undefined;
  /** Of the cell, so far. */
  readonly cellTokens: number;
  readonly tokens: number;
  readonly seconds: number;
}

/** Tells how far a study is. */
export class StudyMeter {
  readonly #plan: StudyPlan;
  readonly #tell: (progress: StudyProgress) => void;
  readonly #rank: number;
  #states: RankState[];
  /** Cells and tokens, as the plan knows them. */
  #known!: Omit<StudyProgress, 'running' | 'secondsLeft'>;

  constructor(
    plan: StudyPlan,
    { rank, size }: Pick<Place, 'rank' | 'size'>,
    tell: (progress: StudyProgress) => void,
  ) {
    this.#plan = plan;
    this.#tell = tell;
    this.#rank = rank;
    const none = { cell: undefined, cellTokens: 0, tokens: 0, seconds: 0 };
    this.#states = Array.from({ length: size }, () => none);
  }

  /** Of this rank. */
  get state(): RankState {
    return this.#states[this.#rank]!;
  }

  /** Cells have begun or ended. */
  count(): void {
    const { records, jobs } = this.#plan;
    const sum = (tokens: readonly number[]) => tokens.reduce((a, b) => a + b, 0);
    // The tokens before a branch are those of the cell that it begins in.
    const before = ({ branch, curve }: CellRecord) => (branch && curve[0]?.tokens) ?? 0;
    const tokens = sum(records.map((record) => record.tokens - before(record)));
    const knownTokens = tokens + sum(jobs.map((job) => job.tokens));
    this.#known = { done: records.length, known: records.length + jobs.length, tokens, knownTokens };
  }

  /** This rank runs a job next. */
  begin({ axes, options }: Job): void {
    const cell = { rank: this.#rank, axes, step: 0, steps: Number(options.steps) };
    this.#update({ cell, cellTokens: 0 });
  }

  /** Its run has told something. */
  follow({ branch, tokens }: Job, record: MetricsRecord): void {
    if (record.type !== 'step') return;
    const cell = { ...this.state.cell!, step: record.step };
    const begun = branch?.step ?? 0;
    this.#update({ cell, cellTokens: (tokens * (record.step - begun)) / (cell.steps - begun) });
  }

  /** It was run by this process, in so many seconds with all that belongs to it. */
  ran(job: Job, seconds: number): void {
    const { state } = this;
    this.#set({ tokens: state.tokens + job.tokens, seconds: state.seconds + seconds });
  }

  /** This rank has nothing to run. */
  idle(): void {
    this.#set({ cell: undefined, cellTokens: 0 });
  }

  /** The states of all, by rank. */
  hear(states: readonly RankState[]): void {
    const { state } = this;
    this.#states = [...states];
    this.#states[this.#rank] = state;
    if (states.length > 1) this.#tellAll();
  }

  #set(changed: Partial<RankState>): void {
    this.#states[this.#rank] = { ...this.state, ...changed };
  }

  #update(changed: Partial<RankState>): void {
    this.#set(changed);
    this.#tellAll();
  }

  #tellAll(): void {
    const running = this.#states.flatMap(({ cell }) => cell ?? []);
    const sum = (name: 'cellTokens' | 'tokens' | 'seconds') =>
      this.#states.reduce((total, state) => total + state[name], 0);
    const { tokens, knownTokens } = this.#known;
    const left = knownTokens - tokens - sum('cellTokens');
    // All ranks that run something do so at the speed of those that have.
    const each = sum('seconds') / sum('tokens');
    const secondsLeft = sum('tokens') > 0 ? { secondsLeft: (each * left) / Math.max(1, running.length) } : {};
    this.#tell({ ...this.#known, running, ...secondsLeft });
  }
}
