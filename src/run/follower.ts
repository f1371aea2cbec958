import * as Comlink from 'comlink';
import { filter, firstValueFrom, ReplaySubject } from 'rxjs';
import type { Actors } from '../actors/actors.js';
import type { Evaluator } from '../actors/evaluator.js';
import type { Student } from '../actors/student.js';
import type { DeviceHosts } from '../devices/host.js';
import type { StepOrders } from '../messages.js';
import { evaluates } from '../prepare/evaluates.js';
import type { Preparation } from '../prepare/prepare.js';
import type { StepRecord } from '../records.js';
import type { World } from '../world/world.js';
import type { RunHooks } from './hooks.js';
import { lacksLastEvaluation } from './lastEvaluation.js';
import { startPipeline } from './pipeline.js';
import type { RunResult } from './result.js';

import { Votes, type Word } from './votes.js';

/** The word of a step is there before or after somebody asks for it; none is asked for later than the next one's. */
const KEPT_WORDS = 2;

/**
 * A run as every rank but the first one has it: the same actors, for its own micro-batches and its share of evaluations.
 * It writes nothing, and does what the first one says.
 */
export class Follower {
  readonly #prepared: Preparation;
  readonly #actors: Actors;
  readonly #hooks: RunHooks;
  readonly #world: World;
  readonly #words = new ReplaySubject<Word>(KEPT_WORDS);
  #step: number;
  #evaluator: Comlink.Remote<Evaluator> | undefined;
  /** Of its share of an evaluation. */
  #fail: (error: Error) => void = () => {};
  readonly #failed = new Promise<never>((_, reject) => {
    this.#fail = reject;
  });

  constructor(prepared: Preparation, actors: Actors, hooks: RunHooks, world: World) {
    this.#prepared = prepared;
    this.#actors = actors;
    this.#hooks = hooks;
    this.#world = world;
    this.#step = prepared.resume?.state.step ?? 0;
    this.#failed.catch(() => {});
  }

  async go(devices: DeviceHosts): Promise<RunResult> {
    const { emit } = this.#hooks;
    const start = { emit, world: this.#world, keepsRows: false };
    const { student, evaluator } = await startPipeline(this.#prepared, this.#actors, devices, start);
    this.#evaluator = evaluator;
    const over = firstValueFrom(this.#words.pipe(filter(({ isOver }) => isOver === true)));
    this.#hear().catch(this.#fail);
    const begun = await firstValueFrom(this.#words);
    if (!begun.isOver) {
      const trained = this.#train(student);
      // A failure ends the run; an end leaves the last word to the first rank.
      await Promise.race([over, trained.then(() => over), this.#failed]);
    }
    const { out, schedule } = this.#prepared;
    return { out, steps: this.#step, finished: this.#step === schedule.steps };
  }

  /** A stop is the first rank's to answer. */
  halted(): Promise<never> {
    return new Promise(() => {});
  }

  async end(): Promise<void> {}

  close(): void {}

  async #hear(): Promise<void> {
    const votes = new Votes(this.#world);
    for (let isOver = false; !isOver; ) {
      const word = await votes.hear({ stop: this.#hooks.shouldStop() });
      this.#words.next(word);
      isOver = word.isOver === true;
    }
  }

  async #train(student: Comlink.Remote<Student>): Promise<void> {
    const { resume, schedule, options } = this.#prepared;
    if (evaluates(options) && !resume?.state.metricsBytes) {
      this.#expect(this.#step);
      await student.snapshot();
    }
    for (const record of resume?.state.held ?? []) {
      if (!('evaluation' in record)) continue;
      this.#expect(record.evaluation);
      await student.snapshot(record.evaluation);
    }
    if (lacksLastEvaluation(this.#prepared)) {
      this.#expect(this.#step);
      await student.snapshot();
    }
    if (this.#step >= schedule.steps) return;
    const observer = { step: (record: StepRecord) => this.#afterStep(record) };
    await student.train(Comlink.proxy(observer) as unknown as Parameters<typeof student.train>[0]);
  }

  async #afterStep({ step }: StepRecord): Promise<StepOrders> {
    this.#step = step;
    this.#actors.doing = `step ${step + 1}`;
    const word = await firstValueFrom(
      this.#words.pipe(filter((word) => word.step === step && word.orders !== undefined)),
    );
    if (word.orders!.evaluate) this.#expect(step);
    return { ...word.orders!, best: undefined };
  }

  /** Its share of the evaluation of `step`: the first rank has the result, and would wait for one that fails. */
  #expect(step: number): void {
    this.#evaluator?.result(step).catch(this.#fail);
  }
}
