import type { MetricsRecord } from '../records.js';
import type { Job, StudyPlan } from './plan.js';
import type { StudyProgress } from './records.js';

/** Tells how far a study is. */
export class StudyMeter {
  readonly #plan: StudyPlan;
  readonly #tell: (progress: StudyProgress) => void;
  /** Tokens and seconds of the cells that this process has run. */
  readonly #ran = { tokens: 0, seconds: 0 };
  #progress!: StudyProgress;

  constructor(plan: StudyPlan, tell: (progress: StudyProgress) => void) {
    this.#plan = plan;
    this.#tell = tell;
  }

  /** A job is next. */
  begin({ axes, options }: Job): void {
    const { records, jobs } = this.#plan;
    const sum = (tokens: readonly number[]) => tokens.reduce((a, b) => a + b, 0);
    const tokens = sum(records.map((record) => record.tokens));
    const knownTokens = tokens + sum(jobs.map((job) => job.tokens));
    const counts = { done: records.length, known: records.length + jobs.length };
    this.#progress = { ...counts, tokens, knownTokens, axes, step: 0, steps: Number(options.steps) };
    this.#tell(this.#progress);
  }

  /** Its run has told something. */
  follow({ line }: Job, record: MetricsRecord): void {
    if (record.type !== 'step') return;
    const { tokens, knownTokens } = this.#progress;
    const { tokens: ran, seconds } = this.#ran;
    const left = knownTokens - tokens - record.step * line.batch * line.sequence;
    const secondsLeft = ran > 0 ? { secondsLeft: (seconds / ran) * left } : {};
    this.#tell({ ...this.#progress, step: record.step, ...secondsLeft });
  }

  /** It was run by this process, in so many seconds with all that belongs to it. */
  ran({ tokens }: Job, seconds: number): void {
    this.#ran.tokens += tokens;
    this.#ran.seconds += seconds;
  }
}
