import { shortSeed } from '../data/random.js';
import { PRIORITY, type RunStats, type Session } from '../devices/device.js';
import type { MicroBatch, TeacherSignal } from '../messages.js';
import { foldsIn, type Part, programOf } from '../model/gradientTree.js';
import type { StudentModule } from '../model/programs.js';
import type { Value } from '../program/types.js';
import type { LossScale } from './lossScale.js';
import { writeSignal } from './signal.js';

export interface StepSetting {
  /** The parts of the batch's tree that are added up here: of a batch that nobody shares, all of it. */
  readonly parts: readonly Part[];
  /** Of dropout. */
  readonly seed: number;
  /** The global gradient norm is clipped here; 0: not at all. */
  readonly clip: number;
  /** Learning rate of the B factors over that of the others (LoRA+). */
  readonly loraPlus: number;
  /** Where the device keeps gradients as halves. */
  readonly lossScale: LossScale | undefined;
}

/** The rows of a micro-batch, T tokens, and its number in the batch: see `MicroBatch`. */
export type LearnedRows = Pick<MicroBatch, 'step' | 'index' | 'tokens' | 'labels' | 'positions' | 'place'>;

/** What a micro-batch gives: losses per token, f32 [T] in nats, and per tensor the squared norm of its gradient. */
export interface Losses {
  readonly ce: Float32Array;
  readonly kl: Float32Array;
  /** Of the summed loss, times the square of the loss scale. */
  readonly squares: Float32Array;
}

export interface Learning {
  /** Resolves when the next micro-batch may be given. */
  readonly accepted: Promise<void>;
  readonly done: Promise<Losses & { readonly stats: RunStats }>;
}

/** The scalars of an optimizer step. */
export interface Rate {
  /** From 1. */
  readonly step: number;
  readonly learningRate: number;
  /** Labels of the whole batch: what sums of losses are divided by, once, here. */
  readonly count: number;
}

export interface Updated {
  readonly stats: RunStats;
  /** Per tensor, the squared norm of the batch's gradient: of the summed loss, times the square of the loss scale. */
  readonly squares: Float32Array;
}

/**
 * One optimizer step on a session that a student's module was compiled into: `learn` for each micro-batch of a batch, in
 * order, then `update`. It knows no thread, clock or file; parameters, moments and frozen weights are in the session
 * already.
 */
export class TrainingStep {
  readonly #session: Session;
  readonly #module: StudentModule;
  readonly #setting: StepSetting;

  private constructor(session: Session, module: StudentModule, setting: StepSetting) {
    this.#session = session;
    this.#module = module;
    this.#setting = setting;
  }

  static async prepare(session: Session, module: StudentModule, setting: StepSetting): Promise<TrainingStep> {
    const { clip } = setting;
    await session.write(module.optimizer.clip, Float32Array.of(clip > 0 ? clip : Number.POSITIVE_INFINITY));
    return new TrainingStep(session, module, setting);
  }

  /** Forward and backward of one micro-batch; its gradient takes its place in the tree of its part. */
  async learn(rows: LearnedRows, signal: TeacherSignal): Promise<Learning> {
    const { step, optimizer } = this.#module;
    const { seed, lossScale, parts } = this.#setting;
    await this.#session.write(step.tokens, rows.tokens);
    await this.#session.write(step.labels, rows.labels);
    await this.#session.write(step.positions, rows.positions);
    await this.#session.write(step.place, rows.place);
    await this.#session.write(step.seedStep, Uint32Array.of(shortSeed(seed), rows.step));
    await writeSignal(this.#session, step, signal);
    if (optimizer.lossScale) await this.#write(optimizer.lossScale, lossScale!.value);
    const losses = [step.ce, step.kl, optimizer.microSquares];
    const { accepted, done } = this.#session.submit('step', PRIORITY.student, losses);
    const folds = foldsIn(parts, rows.index).map(
      (fold) => this.#session.submit(programOf(fold), PRIORITY.student, []).done,
    );
    const all = Promise.all([done, ...folds]).then(([replay, ...others]) => {
      const [ce, kl, squares] = replay.values as [Float32Array, Float32Array, Float32Array];
      return { ce, kl, squares, stats: totalOf([replay, ...others]) };
    });
    return { accepted, done: all };
  }

  /** Clips and applies the gradient of the batch, which is 0 afterwards. A gradient that overflowed changes nothing. */
  async update({ step, learningRate, count }: Rate): Promise<Updated> {
    const { optimizer } = this.#module;
    const { loraPlus, lossScale } = this.#setting;
    // Batches that were skipped are no steps of the optimizer.
    await this.#write(optimizer.step, step - (lossScale?.skipped ?? 0));
    await this.#write(optimizer.learningRate, learningRate);
    await this.#write(optimizer.learningRateB, learningRate * loraPlus);
    await this.#write(optimizer.scale, 1 / (Math.max(1, count) * (lossScale?.value ?? 1)));
    const { done } = this.#session.submit('update', PRIORITY.student, [optimizer.squares]);
    const { stats, values } = await done;
    return { stats, squares: values[0] as Float32Array };
  }

  #write(value: Value, number: number): Promise<void> {
    return this.#session.write(value, Float32Array.of(number));
  }
}

function totalOf(replays: readonly { readonly stats: RunStats }[]): RunStats {
  let [totalMs, waitMs] = [0, 0];
  for (const { stats } of replays) {
    totalMs += stats.totalMs;
    waitMs += stats.waitMs;
  }
  return { totalMs, waitMs };
}
