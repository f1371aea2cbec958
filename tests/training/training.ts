import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Device, Session } from '#src/devices/device.js';
import { openDevice } from '#src/devices/openDevice.js';
import type { KernelKind } from '#src/devices/webgpu/target.js';
import { rowLogits } from '#src/evaluation/perplexity.js';
import { type Adapter, readAdapter } from '#src/formats/adapter.js';
import { openSafetensors, readFloat32, type TensorInfo, tensorChunks } from '#src/formats/safetensors.js';
import type { TeacherSignal } from '#src/messages.js';
import { loraOptions, type SingularStart } from '#src/model/lora.js';
import { openModelFiles } from '#src/model/modelFiles.js';
import {
  type BatchShape,
  evaluationModule,
  type Objective,
  type StudentModule,
  studentModule,
  type TeacherModule,
  teacherModule,
} from '#src/model/programs.js';
import { headName, loadTensor, loadWeights, type ModelFiles, sourcesOf } from '#src/model/weights.js';
import { LossScale } from '#src/training/lossScale.js';
import { learningRate, type ScheduleOptions } from '#src/training/schedule.js';
import { TrainingStep } from '#src/training/step.js';

/** The program's own training step, set up for tests to compare with PyTorch and with itself. */

export interface Batch {
  readonly rows: number;
  readonly sequence: number;
  readonly tokens: Uint32Array;
  readonly labels: Int32Array;
  readonly positions: Uint32Array;
}

export interface TrainingOptions {
  readonly student: ModelFiles;
  readonly teacher: ModelFiles | undefined;
  /** None: all weights of the student are trained. */
  readonly adapter: Adapter | undefined;
  /** The adapter's tensors are singular vectors, which are taken away again. */
  readonly start?: SingularStart;
  readonly alpha: number;
  readonly temperature: number;
  readonly divergence?: Objective['divergence'];
  readonly beta?: number;
  readonly weightDecay: number;
  readonly dropout?: number;
  readonly recompute?: boolean;
  readonly microRows: number;
  /** Of a batch (default: those of a micro-batch). */
  readonly rows?: number;
  readonly sequence: number;
  readonly threads?: number;
  /** As `--clip` (default 0: none). */
  readonly clip?: number;
  /** Of dropout (default 0). */
  readonly seed?: number;
  /** Kernels of the webgpu device, which may be software; absent: the wasm device. */
  readonly kernels?: KernelKind;
  /** Where to train, in place of a device of its own; it is closed with the training. */
  readonly device?: Device;
}

const openTrainingDevice = ({ kernels, threads = 2 }: TrainingOptions): Promise<Device> =>
  kernels ? openDevice('webgpu', { kernels, allowSoftware: true }) : openDevice('wasm', { threads });

export interface CaseFile {
  readonly alpha: number;
  readonly temperature: number;
  readonly steps: number;
  readonly warmup: number;
  readonly learning_rate: number;
  readonly weight_decay: number;
  readonly clip: number;
  /** Default: cosine. */
  readonly schedule?: ScheduleOptions['schedule'];
  readonly divergence?: Objective['divergence'];
  readonly beta?: number;
  /** The case whose student teaches; only in `full.json`. */
  readonly teacher?: string;
}

export const readCase = (folder: string, name = 'case.json'): CaseFile =>
  JSON.parse(readFileSync(join(folder, name), 'utf8')) as CaseFile;

/** The batch of a case and PyTorch's answers by name. */
export function readExpected(file: string): { batch: Batch; floats: (name: string) => Float32Array } {
  const { tensors } = openSafetensors(file);
  const [rows, sequence] = tensors.get('tokens')!.shape as [number, number];
  const batch: Batch = {
    rows,
    sequence,
    tokens: Uint32Array.from(integers(tensors.get('tokens')!)),
    labels: integers(tensors.get('labels')!),
    positions: Uint32Array.from(integers(tensors.get('positions')!)),
  };
  return { batch, floats: (name) => readFloat32(tensors.get(name)!) };
}

function integers(info: TensorInfo): Int32Array {
  const parts = [...tensorChunks(info)].map(({ bytes }) => Buffer.from(bytes));
  return new Int32Array(Uint8Array.from(Buffer.concat(parts)).buffer);
}

/** Logits [B, S, V] of an adapted model. */
export async function adaptedLogits(
  student: ModelFiles,
  adapter: Adapter,
  batch: Batch,
): Promise<Float32Array> {
  const module = evaluationModule(student, batch, loraOptions(adapter.config, student.config));
  const device = await openDevice('wasm', { threads: 2 });
  const session = await device.compile(module.module);
  await loadWeights(session, sourcesOf(student), module.weights);
  for (const [tensor, value] of module.lora!.values) {
    await session.write(value, adapter.tensors.get(tensor)!.data);
  }
  const logits = await rowLogits(session, module, { ...batch, filled: batch.tokens.length, documents: [] });
  await device.close();
  return logits;
}

export function openCase(folder: string) {
  return {
    student: openModelFiles(join(folder, 'student')),
    teacher: openModelFiles(join(folder, 'teacher')),
    adapter: readAdapter(join(folder, 'adapter')),
  };
}

export interface Losses {
  readonly ce: Float32Array;
  readonly kl: Float32Array;
  /** Labels in the batch. */
  readonly count: number;
}

interface Reader {
  readonly module: TeacherModule;
  readonly session: Session;
}

/** A student with a live teacher, both on one device: the training step without actors, text and files. */
export class Training {
  readonly student: StudentModule;
  readonly session: Session;
  readonly #options: TrainingOptions;
  readonly #step: TrainingStep;
  /** Of gradients that are kept as halves. */
  readonly #lossScale: LossScale | undefined;
  readonly #teacher: Reader | undefined;
  readonly #close: () => Promise<void>;

  private constructor(
    options: TrainingOptions,
    [student, session, step, lossScale]: readonly [
      StudentModule,
      Session,
      TrainingStep,
      LossScale | undefined,
    ],
    teacher: Reader | undefined,
    close: () => Promise<void>,
  ) {
    this.#options = options;
    this.student = student;
    this.session = session;
    this.#step = step;
    this.#lossScale = lossScale;
    this.#teacher = teacher;
    this.#close = close;
  }

  static async start(options: TrainingOptions): Promise<Training> {
    const device = options.device ?? (await openTrainingDevice(options));
    const { lossScaling } = device.info;
    const { student, teacher, adapter, alpha, temperature, weightDecay, microRows, sequence } = options;
    const { divergence = 'forward-kl', beta = 0.5, dropout = 0, recompute = false } = options;
    const { clip = 0, seed = 0 } = options;
    const singular = options.start && { start: options.start };
    const shape = { rows: microRows, sequence };
    const microBatches = (options.rows ?? microRows) / microRows;
    const module = studentModule({
      student,
      teacher,
      lora: adapter && { ...loraOptions(adapter.config, student.config), dropout, ...singular },
      objective: { alpha, temperature, divergence, beta },
      optimizer: { beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay },
      ...{ recompute, lossScaling, microBatches, train: shape, evaluate: shape },
    });
    const session = await device.compile(module.module);
    await loadWeights(session, sourcesOf(student), module.trained.training.weights);
    for (const [name, { data }] of adapter?.tensors ?? []) {
      await session.write(module.trained.values.get(name)!, data);
      if (options.start) await session.write(module.trained.start.get(name)!, data);
    }
    if (teacher) {
      const head = sourcesOf(teacher).get(headName(teacher.config))!;
      await loadTensor(session, head, module.teacherHead!);
    }
    const lossScale = lossScaling ? new LossScale() : undefined;
    const setting = { parts: [{ first: 0, count: microBatches }], seed, clip, loraPlus: 1, lossScale };
    const step = await TrainingStep.prepare(session, module, setting);
    const reader = teacher && (await openReader(device, teacher, shape));
    return new Training(options, [module, session, step, lossScale], reader, () => device.close());
  }

  /** Forward and backward of a whole batch, micro-batch by micro-batch. */
  async learn(batch: Batch, step = 1): Promise<Losses> {
    const { microRows, sequence, rows = microRows } = this.#options;
    if (batch.rows !== rows) throw new Error(`Expected a batch of ${rows} rows, found ${batch.rows}`);
    const size = microRows * sequence;
    const ce = new Float32Array(batch.tokens.length);
    const kl = new Float32Array(batch.tokens.length);
    for (let index = 0; index < rows / microRows; index++) {
      const first = index * size;
      const part = <T extends Uint32Array | Int32Array>(array: T) => array.slice(first, first + size) as T;
      const [tokens, labels, positions] = [part(batch.tokens), part(batch.labels), part(batch.positions)];
      const place = Uint32Array.from({ length: size }, (_, i) => first + i);
      const signal = await this.#read(tokens, positions);
      const learning = await this.#step.learn({ step, index, tokens, labels, positions, place }, signal);
      const losses = await learning.done;
      ce.set(losses.ce, first);
      kl.set(losses.kl, first);
    }
    return { ce, kl, count: batch.labels.filter((label) => label >= 0).length };
  }

  async #read(tokens: Uint32Array, positions: Uint32Array): Promise<TeacherSignal> {
    if (!this.#teacher) return { kind: 'none' };
    const { module, session } = this.#teacher;
    await session.write(module.tokens, tokens);
    await session.write(module.positions, positions);
    await session.run('forward');
    return { kind: 'hidden', hidden: (await session.read(module.hidden)) as Float32Array };
  }

  /** Gradients of the summed loss, as accumulated since the last update. */
  async gradients(): Promise<Map<string, Float32Array>> {
    const entries = [...this.student.optimizer.gradients].map(async ([name, value]) => {
      const scaled = (await this.session.read(value)) as Float32Array;
      return [name, scaled.map((x) => x / this.#factor)] as const;
    });
    return new Map(await Promise.all(entries));
  }

  get #factor(): number {
    return this.#lossScale?.value ?? 1;
  }

  async parameters(): Promise<Map<string, Float32Array>> {
    const entries = [...this.student.trained.values].map(
      async ([name, value]) => [name, (await this.session.read(value)) as Float32Array] as const,
    );
    return new Map(await Promise.all(entries));
  }

  /** One optimizer update (`step` from 1), skipped after an overflow, which halves the loss scale. @returns the gradient norm before clipping */
  async update(file: CaseFile, step: number, count: number): Promise<number> {
    const { learning_rate: lr, warmup, steps, schedule = 'cosine' } = file;
    const rate = learningRate({ lr, warmup, schedule, decay: 0, steps }, step);
    const { squares } = await this.#step.update({ step, learningRate: rate, count });
    const norm = Math.sqrt(squares.reduce((a, b) => a + b, 0)) / (count * this.#factor);
    this.#lossScale?.count(!Number.isFinite(norm));
    return norm;
  }

  close(): Promise<void> {
    return this.#close();
  }
}

async function openReader(device: Device, teacher: ModelFiles, shape: BatchShape): Promise<Reader> {
  const module = teacherModule(teacher, shape);
  const session = await device.compile(module.module);
  await loadWeights(session, sourcesOf(teacher), module.weights);
  return { module, session };
}

export const mean = (losses: Float32Array, count: number): number =>
  losses.reduce((sum, loss) => sum + loss, 0) / count;

/** Frobenius norm of a - b over that of b. */
export function relativeDistance(a: Float32Array, b: Float32Array): number {
  let difference = 0;
  let norm = 0;
  for (let i = 0; i < b.length; i++) {
    difference += (a[i]! - b[i]!) ** 2;
    norm += b[i]! ** 2;
  }
  return Math.sqrt(difference / Math.max(norm, 1e-30));
}

export function largestDifference(a: Float32Array, b: Float32Array): number {
  let largest = 0;
  for (let i = 0; i < b.length; i++) largest = Math.max(largest, Math.abs(a[i]! - b[i]!));
  return a.length === b.length ? largest : Number.POSITIVE_INFINITY;
}
