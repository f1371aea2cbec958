import type { EvaluationRecord } from '../actors/evaluation.js';
import type { MeasuredValue } from '../messages.js';
import type { MetricsRecord } from '../records.js';
import type { Journal } from '../report/journal.js';
import type { Decisions } from './decisions.js';

/** What evaluations of a run need of it. */
export interface EvaluationHooks {
  readonly emit: (record: MetricsRecord) => void;
  /** The records of an evaluation, once they are made. */
  readonly result: (step: number) => Promise<EvaluationRecord[]>;
  /** Resolves when the run should stop. */
  readonly stopped: Promise<void>;
}

/** A wait that is longer is told. */
const TOLD_MS = 1000;

/** The evaluations of a run on their way: in the journal's order, one at a time, with what depends on them. */
export class Evaluations {
  readonly #hooks: EvaluationHooks;
  readonly #journal: Journal;
  readonly #decisions: Decisions;
  /** The last one, until it is in the file. */
  #pending: { readonly step: number; readonly written: Promise<void> } | undefined;
  /** Since when the training waits for it. */
  #waitsSince: number | undefined;
  /** Of an evaluation: the run ends with the step at hand, not only where the journal is waited for. */
  failed: Error | undefined;

  constructor(hooks: EvaluationHooks, journal: Journal, decisions: Decisions) {
    this.#hooks = hooks;
    this.#journal = journal;
    this.#decisions = decisions;
  }

  /** Expects the evaluation of `step`; its records come here in the file, and at once to whoever listens. */
  expect(step: number): void {
    const records = this.#hooks.result(step).then((made) => made.map(this.#withWait));
    records.then(
      (made) => made.forEach(this.#hooks.emit),
      (error: Error) => {
        this.failed = error;
      },
    );
    const written = this.#journal.expect(step, records, (made) => {
      this.#pending = undefined;
      this.#decisions.take(made);
    });
    written.catch(() => {});
    this.#pending = { step, written };
  }

  /**
   * Waits for the evaluation before `step`: whatever depends on it does so from there on, however long it took.
   * @returns false where a stop came first
   */
  async settle(step: number): Promise<boolean> {
    const pending = this.#pending;
    if (!pending) return true;
    await this.during(step, () => Promise.race([pending.written, this.#hooks.stopped]));
    return this.#pending === undefined;
  }

  /** What is to be published as the best so far, before anything else is evaluated. */
  publish(): MeasuredValue | undefined {
    return this.#decisions.publish();
  }

  /** Work for which the training waits at `step`. */
  async during<R>(step: number, work: () => Promise<R>): Promise<R> {
    const pending = this.#pending;
    if (!pending) return work();
    this.#waitsSince = performance.now();
    const { emit } = this.#hooks;
    const tell = setTimeout(() => emit({ type: 'waiting', step, evaluation: pending.step }), TOLD_MS);
    try {
      return await work();
    } finally {
      clearTimeout(tell);
      this.#waitsSince = undefined;
    }
  }

  readonly #withWait = (record: EvaluationRecord): EvaluationRecord => {
    const waited = this.#waitsSince === undefined ? 0 : (performance.now() - this.#waitsSince) / 1000;
    return { ...record, busy: { ...record.busy, waited } };
  };
}
