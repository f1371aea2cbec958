import { NO_LABEL } from '../../data/packing/rows.js';
import type { Session } from '../../devices/device.js';
import type { TeacherSignal } from '../../messages.js';
import type { StudentModule } from '../../model/programs.js';
import { elementCount } from '../../program/types.js';
import { type LearnedRows, TrainingStep } from '../../training/step.js';

/** The micro-batches of a fixed batch: `index` from 0, all of one `step`, as many as the module was built for. */
export type FixedBatch = readonly { readonly rows: LearnedRows; readonly signal: TeacherSignal }[];

/**
 * How far parameters are moved for a difference of gradients, over their length. The loss is no parabola: along its sharp
 * directions a longer way changes the curvature, by the square of the way (of all weights of the bundled miniature 5 % at
 * 2^-12, 0.4 % at 2^-14, 0.01 % here). A shorter one is rounded: f32 moves each parameter by 2^-8 of its move too much or
 * too little, at random, which hardly has a part in any one direction.
 */
const STEP = 2 ** -16;

/**
 * The Hessian of a batch's mean loss in what is trained, as its products with vectors: central differences of the
 * program's own gradients, H v = (g(theta + e v) - g(theta - e v)) / 2 e, e = 2^-16 ||theta|| for v of length 1. The mean is
 * over the batch's labels; a batch has one dropout mask. Parameters are changed meanwhile, and `restore` puts them back.
 */
export class Curvature {
  /** Numbers that are trained: what vectors hold, tensor after tensor in the module's order. */
  readonly size: number;
  readonly #session: Session;
  readonly #module: StudentModule;
  readonly #step: TrainingStep;
  readonly #batch: FixedBatch;
  readonly #start: Float32Array;
  readonly #labels: number;
  readonly #distance: number;

  private constructor(
    session: Session,
    module: StudentModule,
    step: TrainingStep,
    batch: FixedBatch,
    start: Float32Array,
    scale: number,
  ) {
    this.#session = session;
    this.#module = module;
    this.#step = step;
    this.#batch = batch;
    this.#start = start;
    this.size = start.length;
    this.#labels = batch.reduce((sum, { rows }) => sum + labelsOf(rows), 0);
    const length = Math.sqrt(start.reduce((sum, value) => sum + value * value, 0));
    this.#distance = STEP * scale * (length || 1);
  }

  /**
   * Of the parameters as they are in the session, which keeps gradients in f32 (no loss scaling).
   * @param scale of the distance that parameters are moved
   */
  static async at(session: Session, module: StudentModule, batch: FixedBatch, scale = 1): Promise<Curvature> {
    const parts = [{ first: 0, count: batch.length }];
    const setting = { parts, seed: 0, clip: 0, loraPlus: 1, lossScale: undefined };
    const step = await TrainingStep.prepare(session, module, setting);
    const start = new Float32Array(sizeOf(module));
    let at = 0;
    for (const value of module.trained.values.values()) {
      const data = (await session.read(value)) as Float32Array;
      start.set(data, at);
      at += data.length;
    }
    return new Curvature(session, module, step, batch, start, scale);
  }

  /** H v of a vector of length 1. */
  async product(v: Float32Array): Promise<Float32Array> {
    const [ahead, behind] = [await this.#gradientAt(v, 1), await this.#gradientAt(v, -1)];
    const scale = 1 / (2 * this.#distance * this.#labels);
    return ahead.map((value, i) => (value - behind[i]!) * scale);
  }

  /** Puts the parameters back. */
  restore(): Promise<void> {
    return this.#write(this.#start);
  }

  /** The gradient of the summed loss. */
  async #gradientAt(v: Float32Array, sign: number): Promise<Float32Array> {
    const distance = sign * this.#distance;
    await this.#write(this.#start.map((value, i) => value + distance * v[i]!));
    for (const { rows, signal } of this.#batch) await (await this.#step.learn(rows, signal)).done;
    const gradient = new Float32Array(this.size);
    let at = 0;
    for (const value of this.#module.optimizer.gradients.values()) {
      const data = (await this.#session.read(value)) as Float32Array;
      gradient.set(data, at);
      at += data.length;
      await this.#session.write(value, new Float32Array(data.length));
    }
    return gradient;
  }

  async #write(parameters: Float32Array): Promise<void> {
    let at = 0;
    for (const value of this.#module.trained.values.values()) {
      const count = elementCount(value.shape);
      await this.#session.write(value, parameters.subarray(at, at + count));
      at += count;
    }
  }
}

const sizeOf = ({ trained }: StudentModule): number =>
  [...trained.values.values()].reduce((sum, { shape }) => sum + elementCount(shape), 0);

const labelsOf = ({ labels }: LearnedRows): number =>
  labels.reduce((count, label) => count + (label === NO_LABEL ? 0 : 1), 0);
