import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import type { Device, OpProfile, Session } from '#src/devices/device.js';
import { targetModules } from '#src/model/lora.js';
import { LossScale } from '#src/model/lossScale.js';
import {
  type BatchShape,
  type StudentModule,
  studentModule,
  type TeacherModule,
  teacherModule,
} from '#src/model/programs.js';
import { type Checkpoint, type ModelWeights, ropeTable, weightShapes } from '#src/model/weights.js';
import { fill, fillModelValue, percentiles, type Timing } from './measure.js';
import { configOf, SHAPES, type ShapeName } from './shapes.js';

export interface StepOptions {
  readonly shape: ShapeName;
  readonly teacher: boolean;
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

/** A checkpoint that exists as shapes only; `fill` makes its numbers. */
function randomCheckpoint(shape: ShapeName, who: 'student' | 'teacher'): Checkpoint {
  const config = configOf(SHAPES[shape][who]);
  const dtype = ['llama', 'smollm2'].includes(shape) ? 'BF16' : 'F32';
  const tensors = [...weightShapes(config)].map(([name, dimensions]) => {
    const info = { name, dtype, shape: [...dimensions], byteOffset: 0, byteLength: 0, path: '' };
    return [name, info] as const;
  });
  return {
    folder: who,
    configFile: who,
    config,
    tensors: new Map(tensors) as unknown as Checkpoint['tensors'],
  };
}

async function fillModel(
  session: Session,
  { config, values, ropeTable: table }: ModelWeights,
): Promise<void> {
  for (const value of values.values()) await fillModelValue(session, value);
  await session.write(table, ropeTable(config, table.shape[0]!));
}

/** The modules of a step, whose numbers need not exist. */
function modulesOf(
  device: Device,
  { shape, batch, rank, recompute, teacher: hasTeacher }: StepOptions,
): { student: StudentModule; teacher: TeacherModule | undefined } {
  const teacherCheckpoint = hasTeacher ? randomCheckpoint(shape, 'teacher') : undefined;
  const student = studentModule({
    student: randomCheckpoint(shape, 'student'),
    teacher: teacherCheckpoint,
    lora: {
      rank,
      alpha: 2 * rank,
      rsLora: false,
      dropout: 0,
      targetModules: targetModules(['all-linear']),
    },
    objective: { alpha: hasTeacher ? 0.5 : 0, temperature: 1, divergence: 'forward-kl', beta: 0.5 },
    optimizer: { beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0 },
    recompute,
    lossScaling: device.info.lossScaling,
    train: batch,
    evaluate: { rows: 1, sequence: batch.sequence },
  });
  return { student, teacher: teacherCheckpoint && teacherModule(teacherCheckpoint, batch) };
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

/** One optimizer step on random weights and tokens: teacher, student forward and backward, clip and AdamW. */
class Step {
  readonly #options: StepOptions;
  readonly #student: StudentModule;
  readonly #teacher: TeacherModule | undefined;
  readonly #sessions: readonly Session[];

  private constructor(
    options: StepOptions,
    student: StudentModule,
    teacher: TeacherModule | undefined,
    sessions: readonly Session[],
  ) {
    this.#options = options;
    this.#student = student;
    this.#teacher = teacher;
    this.#sessions = sessions;
  }

  get sessions(): readonly Session[] {
    return this.#sessions;
  }

  static async start(device: Device, options: StepOptions): Promise<Step> {
    const { batch } = options;
    const { student, teacher } = modulesOf(device, options);
    const session = await device.compile(student.module);
    await fillModel(session, student.trained.training.weights);
    for (const value of student.trained.values.values()) await fillModelValue(session, value);
    const sessions = [session];
    if (teacher) {
      await fillModelValue(session, student.teacherHead!);
      const reader = await device.compile(teacher.module);
      await fillModel(reader, teacher.weights);
      await fill(reader, teacher.tokens, batch.sequence);
      await fill(reader, teacher.positions, batch.sequence);
      sessions.push(reader);
    }
    const { tokens, labels, positions } = student.step;
    for (const value of [tokens, labels, positions]) await fill(session, value, batch.sequence);
    const { learningRate, learningRateB, scale, clip, lossScale } = student.optimizer;
    const lossScaling = lossScale ? new LossScale().value : 1;
    const count = batch.rows * batch.sequence * lossScaling;
    for (const rate of [learningRate, learningRateB]) await session.write(rate, Float32Array.of(1e-4));
    await session.write(scale, Float32Array.of(1 / count));
    await session.write(clip, Float32Array.of(1));
    if (lossScale) await session.write(lossScale, Float32Array.of(lossScaling));
    return new Step(options, student, teacher, sessions);
  }

  /** @returns the mean cross-entropy, nats per token */
  async run(step: number): Promise<number> {
    const [session, reader] = this.#sessions;
    if (this.#teacher && reader) {
      await reader.run('forward');
      await session!.write(this.#student.step.teacherHidden!, await reader.read(this.#teacher.hidden));
    }
    await session!.run('step');
    const ce = (await session!.read(this.#student.step.ce)) as Float32Array;
    await session!.write(this.#student.optimizer.step, Float32Array.of(step));
    await session!.run('update');
    return mean(ce);
  }

  async digest(): Promise<string> {
    const hash = createHash('sha256');
    for (const value of this.#student.trained.values.values()) {
      hash.update(new Uint8Array((await this.#sessions[0]!.read(value)).buffer));
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
  for (const session of step.sessions) await session.close();
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
