import type { Row } from '../data/packing.js';
import { sharedTokenizer } from '../data/tokenizer/shared.js';
import { PRIORITY, type Session } from '../devices/device.js';
import { meanLoss } from '../evaluation/perplexity.js';
import { isChoicePlan, type TaskPlan } from '../evaluation/tasks/planTask.js';
import { choiceSamples, type TaskSample, writtenSamples } from '../evaluation/tasks/runTask.js';
import { Scores } from '../evaluation/tasks/scores.js';
import { cacheGenerator, cacheScorer } from '../inference/cacheAnswers.js';
import { type CacheSession, KeyValueCache } from '../inference/keyValueCache.js';
import { endOfTextIds } from '../model/endOfText.js';
import type { StudentModule } from '../model/programs.js';
import type { ModelFiles } from '../model/weights.js';
import type { EvalRecord, EvaluationTime, TasksRecord } from '../records.js';

/** What an evaluation tells, in this order. */
export type EvaluationRecord = EvalRecord | TasksRecord;

/** A student, and what it is evaluated on. */
export interface EvaluationParts {
  readonly files: ModelFiles;
  /** Folder of the tokenizer. */
  readonly tokenizer: string;
  readonly module: StudentModule;
  readonly session: Session;
  /** Held-out text, scored so many rows at a time; none without. */
  readonly rows: readonly Row[] | undefined;
  readonly rowsPerRun: number;
  readonly plans: readonly TaskPlan[];
}

/** Evaluates what the student's session has for a snapshot, at the lowest priority. */
export class Evaluation {
  readonly #parts: EvaluationParts;
  readonly #session: CacheSession;
  readonly #choices: KeyValueCache | undefined;
  readonly #written: KeyValueCache | undefined;
  /** Milliseconds that the device has worked. */
  #worked = 0;
  /** When the evaluation before ended. */
  #ended = performance.now();

  constructor(parts: EvaluationParts) {
    this.#parts = parts;
    const { session, module } = parts;
    this.#session = {
      read: (...range) => session.read(...range),
      write: (...range) => session.write(...range),
      run: async (program) => {
        const stats = await session.run(program, PRIORITY.evaluator);
        this.#worked += stats.totalMs - stats.waitMs;
        return stats;
      },
    };
    const { choices, written } = module.caches;
    this.#choices = choices && new KeyValueCache(this.#session, choices);
    this.#written = written && new KeyValueCache(this.#session, written);
  }

  /** @param step after which the snapshot was taken */
  async records(step: number): Promise<EvaluationRecord[]> {
    const { rows, plans } = this.#parts;
    const records: EvaluationRecord[] = [];
    const took = async <R>(work: () => Promise<R>): Promise<R & { readonly busy: EvaluationTime }> => {
      this.#worked = 0;
      const result = await work();
      return { ...result, busy: { seconds: this.#worked / 1000, share: 0, waited: 0 } };
    };
    if (rows) records.push(await took(() => this.#loss(step, rows)));
    if (plans.length > 0) records.push(await took(() => this.#tasks(step)));
    const wall = (performance.now() - this.#ended) / 1000;
    this.#ended = performance.now();
    return records.map(({ busy, ...record }) => {
      const share = Math.min(1, busy.seconds / wall);
      return { ...record, busy: { ...busy, share } } as EvaluationRecord;
    });
  }

  async #loss(step: number, rows: readonly Row[]): Promise<Omit<EvalRecord, 'busy'>> {
    const { session, module, rowsPerRun } = this.#parts;
    const run = () => this.#session.run('evaluate');
    const { nll, tokens } = await meanLoss(session, module.evaluate, rows, rowsPerRun, run);
    return { type: 'eval', step, nll, perplexity: Math.exp(nll), tokens };
  }

  async #tasks(step: number): Promise<Omit<TasksRecord, 'busy'>> {
    const { plans } = this.#parts;
    // What they hold was read with another snapshot.
    this.#choices?.reset();
    this.#written?.reset();
    const scores = new Scores(plans);
    for (const [i, plan] of plans.entries()) {
      for await (const sample of await this.#samples(plan)) scores.add(i, sample);
    }
    const { results, items } = scores.results();
    return { type: 'tasks', step, results, items };
  }

  async #samples(plan: TaskPlan): Promise<AsyncGenerator<TaskSample>> {
    const { files, tokenizer: folder } = this.#parts;
    if (isChoicePlan(plan)) return choiceSamples(plan, cacheScorer(this.#choices!, {}));
    const tokenizer = await sharedTokenizer(folder);
    return writtenSamples(
      plan,
      cacheGenerator(this.#written!, tokenizer, endOfTextIds(files, tokenizer), {}),
    );
  }
}
