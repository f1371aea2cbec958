import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { type Device, type OpProfile, PRIORITY, type Session } from '#src/devices/device.js';
import type { CacheDtype } from '#src/formats/teacherCache.js';
import type { TeacherSignal } from '#src/messages.js';
import { targetModules } from '#src/model/lora.js';
import {
  type BatchShape,
  type StudentModule,
  studentModule,
  type TeacherModule,
  teacherModule,
} from '#src/model/programs.js';
import { LossScale } from '#src/training/lossScale.js';
import { type LearnedRows, type Learning, TrainingStep } from '#src/training/step.js';
import { CachedSignals } from './cachedSignals.js';
import { fill, fillModelValue, percentiles, type Timing } from './measure.js';
import { fillModel, randomFiles } from './randomModel.js';
import type { ShapeName } from './shapes.js';

export interface StepOptions {
  readonly shape: ShapeName;
  /** live, on the device | its hidden states from a cache on the disk | none */
  readonly teacher: 'live' | 'cache' | 'none';
  /** Of the cache. */
  readonly cacheDtype: CacheDtype;
  readonly batch: BatchShape;
  readonly rank: number;
  readonly recompute: boolean;
  readonly iterations: number;
}

export interface StepResult extends Timing {
  readonly tokens_per_s: number;
  readonly gflops: number;
  /** Share of the wall time that the device spent inside kernels. */
  readonly in_kernels: number;
  readonly planned_bytes: number;
  /** Peak resident memory of the process. */
  readonly peak_bytes: number;
  /** Memory of the GPU that is in use during the steps, by anyone; where nvidia-smi tells. */
  readonly gpu_bytes?: number;
  /** Cross-entropy of the last step, nats per token: near the logarithm of the vocabulary, the weights are random. */
  readonly ce: number;
  /** SHA-256 of what was trained, after all steps: runs with the same one computed the same bits. */
  readonly digest: string;
  readonly profile: readonly OpProfile[];
}

/** Steps until the engine has compiled every kernel for speed. */
const WARM_UP = 2;

/** The modules of a step, whose numbers need not exist. */
function modulesOf(
  { info: { lossScaling } }: Device,
  { shape, batch, rank, recompute, teacher: which }: StepOptions,
): { student: StudentModule; teacher: TeacherModule | undefined } {
  const teacher = which === 'none' ? undefined : randomFiles(shape, 'teacher');
  const student = studentModule({
    student: randomFiles(shape, 'student'),
    teacher,
    lora: { rank, alpha: 2 * rank, rsLora: false, dropout: 0, targetModules: targetModules(['all-linear']) },
    objective: { alpha: teacher ? 0.5 : 0, temperature: 1, divergence: 'forward-kl', beta: 0.5 },
    optimizer: { beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0 },
    recompute,
    lossScaling,
    microBatches: 1,
    train: batch,
    evaluate: { rows: 1, sequence: batch.sequence },
  });
  return { student, teacher: teacher && which === 'live' ? teacherModule(teacher, batch) : undefined };
}

/** Compiles what a step needs, and with that tunes its products. @returns seconds */
export async function tuneStep(device: Device, options: StepOptions): Promise<number> {
  const start = performance.now();
  const { student, teacher } = modulesOf(device, options);
  for (const { module } of teacher ? [student, teacher] : [student]) {
    await (await device.compile(module)).close();
  }
  return (performance.now() - start) / 1000;
}

/** A student on the device, its frozen and trained weights filled. */
async function openStudent(device: Device, student: StudentModule) {
  const session = await device.compile(student.module);
  await fillModel(session, student.trained.training.weights);
  for (const value of student.trained.values.values()) await fillModelValue(session, value);
  if (student.teacherHead) await fillModelValue(session, student.teacherHead);
  const lossScale = student.optimizer.lossScale ? new LossScale() : undefined;
  const setting = { parts: [{ first: 0, count: 1 }], seed: 0, clip: 1, loraPlus: 1, lossScale };
  return { session, step: await TrainingStep.prepare(session, student, setting), module: student };
}

type OpenStudent = Awaited<ReturnType<typeof openStudent>>;

/** A teacher on the device, with weights and tokens. */
async function openTeacher(device: Device, teacher: TeacherModule, batch: BatchShape) {
  const session = await device.compile(teacher.module);
  await fillModel(session, teacher.weights);
  await fill(session, teacher.tokens, batch.sequence);
  await fill(session, teacher.positions, batch.sequence);
  return { session, hidden: teacher.hidden };
}

type OpenTeacher = Awaited<ReturnType<typeof openTeacher>>;

/** Tokens and labels as `fill` draws them, whole rows of one document each. */
async function rowsOf(
  { session, module }: OpenStudent,
  { rows, sequence }: BatchShape,
): Promise<LearnedRows> {
  const { tokens, labels, positions } = module.step;
  for (const value of [tokens, labels, positions]) await fill(session, value, sequence);
  return {
    ...{ step: 1, index: 0 },
    tokens: (await session.read(tokens)) as Uint32Array,
    labels: (await session.read(labels)) as Int32Array,
    positions: (await session.read(positions)) as Uint32Array,
    place: Uint32Array.from({ length: rows * sequence }, (_, i) => i),
  };
}

/** One optimizer step on random weights and tokens: teacher, student forward and backward, clip and AdamW. */
class Step {
  readonly #options: StepOptions;
  readonly #student: OpenStudent;
  readonly #teacher: OpenTeacher | undefined;
  readonly #cached: CachedSignals | undefined;
  readonly #rows: LearnedRows;

  private constructor(
    options: StepOptions,
    student: OpenStudent,
    teacher: OpenTeacher | undefined,
    cached: CachedSignals | undefined,
    rows: LearnedRows,
  ) {
    this.#options = options;
    this.#student = student;
    this.#teacher = teacher;
    this.#cached = cached;
    this.#rows = rows;
  }

  get sessions(): readonly Session[] {
    return [this.#student, ...(this.#teacher ? [this.#teacher] : [])].map(({ session }) => session);
  }

  static async start(device: Device, options: StepOptions): Promise<Step> {
    const { batch } = options;
    const modules = modulesOf(device, options);
    const student = await openStudent(device, modules.student);
    const teacher = modules.teacher && (await openTeacher(device, modules.teacher, batch));
    const cached =
      options.teacher === 'cache'
        ? await CachedSignals.start(randomFiles(options.shape, 'teacher'), batch, options.cacheDtype)
        : undefined;
    return new Step(options, student, teacher, cached, await rowsOf(student, batch));
  }

  /** @returns the mean cross-entropy, nats per token */
  async run(number: number): Promise<number> {
    const { step } = this.#student;
    const learning = this.#cached
      ? await this.#learnCached(this.#cached)
      : await step.learn(this.#rows, await this.#signal());
    const { ce } = await learning.done;
    await step.update({ step: number, learningRate: 1e-4, count: this.#rows.tokens.length });
    return mean(ce);
  }

  async #learnCached(cached: CachedSignals): Promise<Learning> {
    const batch = await cached.next();
    return this.#student.step.learn(batch, batch.signal);
  }

  async #signal(): Promise<TeacherSignal> {
    if (!this.#teacher) return { kind: 'none' };
    const { session, hidden } = this.#teacher;
    const { done } = session.submit('forward', PRIORITY.teacher, [hidden]);
    return { kind: 'hidden', hidden: (await done).values[0] as Float32Array };
  }

  async close(): Promise<void> {
    await this.#cached?.close();
    for (const session of this.sessions) await session.close();
  }

  async digest(): Promise<string> {
    const hash = createHash('sha256');
    const { session, module } = this.#student;
    for (const value of module.trained.values.values()) {
      hash.update(new Uint8Array((await session.read(value)).buffer));
    }
    return hash.digest('hex');
  }

  /** Seconds of each step, and the cross-entropy of the last one. */
  async time(): Promise<{ seconds: number[]; ce: number }> {
    const seconds: number[] = [];
    let ce = Number.NaN;
    for (let i = 0; i < this.#options.iterations; i++) {
      const start = performance.now();
      ce = await this.run(WARM_UP + i + 1);
      seconds.push((performance.now() - start) / 1000);
    }
    return { seconds, ce };
  }
}

export async function measureStep(device: Device, options: StepOptions): Promise<StepResult> {
  const step = await Step.start(device, options);
  for (let i = 1; i <= WARM_UP; i++) await step.run(i);
  const before = await profileOf(step.sessions);
  const { seconds, ce } = await step.time();
  const gpuBytes = device.info.name === 'webgpu' ? usedGpuBytes() : undefined;
  const digest = await step.digest();
  const profile = subtract(await profileOf(step.sessions), before);
  const timing = percentiles(seconds);
  const steps = options.iterations;
  const wall = profile.reduce((sum, op) => sum + op.ms, 0) / steps / 1000;
  const flops = profile.reduce((sum, op) => sum + op.flops, 0) / steps;
  const plans = step.sessions.map(({ plan }) => plan.bytes.persistent + plan.bytes.activations);
  await step.close();
  const { rows, sequence } = options.batch;
  return {
    ...timing,
    tokens_per_s: Number(((rows * sequence) / timing.seconds_p50).toFixed(1)),
    gflops: Number((flops / timing.seconds_p50 / 1e9).toFixed(2)),
    in_kernels: Number(Math.min(1, wall / mean(seconds)).toFixed(3)),
    planned_bytes: plans.reduce((a, b) => a + b, 0),
    peak_bytes: process.resourceUsage().maxRSS * 1024,
    ...(gpuBytes !== undefined && { gpu_bytes: gpuBytes }),
    ce,
    digest,
    profile,
  };
}

/** Of the first GPU; undefined where there is none of NVIDIA's. */
function usedGpuBytes(): number | undefined {
  try {
    const query = ['--query-gpu=memory.used', '--format=csv,noheader,nounits'];
    const stdio: ('ignore' | 'pipe')[] = ['ignore', 'pipe', 'ignore'];
    const mib = Number.parseInt(execFileSync('nvidia-smi', query, { encoding: 'utf8', stdio }), 10);
    return Number.isNaN(mib) ? undefined : mib * 2 ** 20;
  } catch {
    return undefined;
  }
}

const mean = (numbers: ArrayLike<number>): number =>
  Array.from(numbers).reduce((a, b) => a + b, 0) / numbers.length;

/** Per op, student's and teacher's together. */
async function profileOf(sessions: readonly Session[]): Promise<OpProfile[]> {
  const total = new Map<string, OpProfile>();
  for (const session of sessions) {
    for (const op of await session.profile()) {
      const known = total.get(op.op);
      total.set(op.op, known ? combine(known, op, 1) : op);
    }
  }
  return [...total.values()];
}

const combine = (a: OpProfile, b: OpProfile, sign: 1 | -1): OpProfile => ({
  op: a.op,
  calls: a.calls + sign * b.calls,
  ms: a.ms + sign * b.ms,
  flops: a.flops + sign * b.flops,
  bytes: a.bytes + sign * b.bytes,
});

const subtract = (after: readonly OpProfile[], before: readonly OpProfile[]): OpProfile[] =>
  after.map((op) => combine(op, before.find((other) => other.op === op.op)!, -1)).sort((a, b) => b.ms - a.ms);
