import { isLoss } from '../evaluation/tasks/planMetrics.js';
import type { EvaluationState, MeasuredValue, Watched } from '../messages.js';
import { parseEarlyStop } from '../options/evaluations.js';
import type { TrainOptions } from '../options/train.js';
import type { EarlyStop, EvalRecord, TasksRecord } from '../records.js';

type EvaluationRecord = EvalRecord | TasksRecord;

/**
 * What depends on evaluations: which one was the best, and whether the run ends for them. It is told of them in their
 * order, and asked at steps that are fixed before: what it answers does not depend on how long any of them took.
 */
export class Decisions {
  readonly #patience: number;
  readonly #earlyStop: Watch | undefined;
  readonly #keepBest: Watch | undefined;
  #isUnpublished = false;
  #ended: EarlyStop | undefined;

  /** @param state of the checkpoint that the run goes on from */
  constructor(
    { keepBest, earlyStop }: Pick<TrainOptions, 'keepBest' | 'earlyStop'>,
    state: EvaluationState = {},
  ) {
    const { metric, patience } = earlyStop === undefined ? {} : parseEarlyStop(earlyStop);
    this.#patience = patience ?? 0;
    this.#earlyStop = metric === undefined ? undefined : new Watch(metric, state.earlyStop);
    this.#keepBest = keepBest === undefined ? undefined : new Watch(keepBest, state.keepBest);
    this.#ended = state.ended as EarlyStop | undefined;
  }

  /** Takes in the next evaluation. */
  take(records: readonly EvaluationRecord[]): void {
    this.#earlyStop?.take(records);
    if (this.#keepBest?.take(records)) this.#isUnpublished = true;
  }

  /** The best so far, where `best/` has another; it is to have it from now on. */
  publish(): MeasuredValue | undefined {
    if (!this.#isUnpublished) return undefined;
    this.#isUnpublished = false;
    return this.#keepBest?.best;
  }

  /** Asked at the step of an evaluation, with all before it taken in, also at the last step. @returns whether the run ends there */
  end(): boolean {
    if (this.#ended) return true;
    if (!this.#earlyStop || this.#earlyStop.since < this.#patience) return false;
    const { best } = this.#earlyStop;
    this.#ended = { patience: this.#patience, ...(best && { best }) };
    return true;
  }

  /** Why the run has ended, also where that was its last step. */
  get ended(): EarlyStop | undefined {
    return this.#ended;
  }

  /** What `best/` is of. */
  get best(): MeasuredValue | undefined {
    return this.#keepBest?.best;
  }

  /** For a checkpoint; undefined where nothing depends on evaluations. */
  get state(): EvaluationState | undefined {
    if (!this.#keepBest && !this.#earlyStop) return undefined;
    return {
      ...(this.#keepBest && { keepBest: this.#keepBest.state }),
      ...(this.#earlyStop && { earlyStop: this.#earlyStop.state }),
      ...(this.#ended && { ended: this.#ended }),
    };
  }
}

/** The best value of a metric so far. What is no number is no better than anything. */
class Watch {
  readonly #metric: string;
  best: MeasuredValue | undefined;
  /** Evaluations after the best one. */
  since: number;

  constructor(metric: string, { best, since }: Watched = { since: 0 }) {
    this.#metric = metric;
    this.best = best;
    this.since = since;
  }

  get state(): Watched {
    return { ...(this.best && { best: this.best }), since: this.since };
  }

  /** @returns whether it is better than all before */
  take(records: readonly EvaluationRecord[]): boolean {
    const value = measuredIn(this.#metric, records);
    if (!this.#isBetter(value)) {
      this.since++;
      return false;
    }
    this.best = { metric: this.#metric, step: records[0]!.step, value: value! };
    this.since = 0;
    return true;
  }

  #isBetter(value: number | null | undefined): boolean {
    if (typeof value !== 'number' || !Number.isFinite(value)) return false;
    if (!this.best) return true;
    return isLoss(this.#metric) ? value < this.best.value : value > this.best.value;
  }
}

/** `nll`, or `TASK/METRIC`. */
function measuredIn(metric: string, records: readonly EvaluationRecord[]): number | null | undefined {
  const [owner, name] = metric.split('/');
  for (const record of records) {
    if (record.type === 'eval' && metric === 'nll') return record.nll;
    if (record.type === 'tasks' && name !== undefined) return record.results[owner!]?.[name];
  }
  return undefined;
}
