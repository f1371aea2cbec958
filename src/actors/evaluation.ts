import type { Row } from '../data/packing.js';
import { sharedTokenizer } from '../data/tokenizer/shared.js';
import { PRIORITY, type Session } from '../devices/device.js';
import { lossSums, meanOf } from '../evaluation/perplexity.js';
import { isChoicePlan, type TaskPlan } from '../evaluation/tasks/planTask.js';
import { choiceSamples, portionsOf, type TaskSample, writtenSamples } from '../evaluation/tasks/runTask.js';
import { Scores } from '../evaluation/tasks/scores.js';
import { cacheGenerator, cacheScorer } from '../inference/cacheAnswers.js';
import { type CacheSession, KeyValueCache } from '../inference/keyValueCache.js';
import { endOfTextIds } from '../model/endOfText.js';
import { runOf } from '../model/gradientTree.js';
import type { StudentModule } from '../model/programs.js';
import type { ModelFiles } from '../model/weights.js';
import type { EvalRecord, EvaluationTime, TasksRecord } from '../records.js';
import type { Channel, Place } from '../world/world.js';

/** What is known of an item, as far as results need it. */
type Measured = Pick<TaskSample, 'task' | 'metrics'>;

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
  /** Those who share the work, and where they meet. */
  readonly place: Pick<Place, 'rank' | 'size'>;
  readonly ranks: Channel;
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

  /** A run of the replays is this rank's; the sums of all are added in their order. */
  async #loss(step: number, rows: readonly Row[]): Promise<Omit<EvalRecord, 'busy'>> {
    const { session, module, rowsPerRun, place, ranks } = this.#parts;
    const { first, count } = runOf(place.rank, place.size, Math.ceil(rows.length / rowsPerRun));
    const own = rows.slice(first * rowsPerRun, (first + count) * rowsPerRun);
    const run = () => this.#session.run('evaluate');
    const sums = await toArray(lossSums(session, module.evaluate, own, rowsPerRun, run, undefined));
    // Nobody but the evaluation waits for it.
    const all = await ranks.gather(sums, undefined);
    const { nll, tokens } = meanOf(all.flat());
    return { type: 'eval', step, nll, perplexity: Math.exp(nll), tokens };
  }

  async #tasks(step: number): Promise<Omit<TasksRecord, 'busy'>> {
    const { plans } = this.#parts;
    const scores = new Scores(plans);
    for (const [i, plan] of plans.entries()) {
      for (const sample of await this.#measured(plan)) scores.add(i, sample);
    }
    const { results, items } = scores.results();
    return { type: 'tasks', step, results, items };
  }

  /** What all items came to, in their order; every so manieth portion is this rank's. */
  async #measured(plan: TaskPlan): Promise<Measured[]> {
    const { rank, size } = this.#parts.place;
    const portions = portionsOf(plan);
    const own: Measured[][] = [];
    for (const portion of portions.filter((_, i) => i % size === rank)) {
      // What caches hold was read with another snapshot, or is not what another rank's hold.
      this.#choices?.reset();
      this.#written?.reset();
      const samples = await toArray(await this.#samples(portion));
      own.push(samples.map(({ task, metrics }) => ({ task, metrics })));
    }
    const all = await this.#parts.ranks.gather(own, undefined);
    return portions.flatMap((_, i) => all[i % size]![Math.floor(i / size)]!);
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

async function toArray<T>(items: AsyncIterable<T>): Promise<T[]> {
  const array: T[] = [];
  for await (const item of items) array.push(item);
  return array;
}
