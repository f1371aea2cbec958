import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Device, Session } from '#src/devices/device.js';
import { openDevice } from '#src/devices/openDevice.js';
import type { KernelKind } from '#src/devices/webgpu/target.js';
import { rowLogits } from '#src/evaluation/perplexity.js';
import { type Adapter, readAdapter } from '#src/formats/adapter.js';
import { openSafetensors, readFloat32, type TensorInfo, tensorChunks } from '#src/formats/safetensors.js';
import { loraOptions } from '#src/model/lora.js';
import { openModelFiles } from '#src/model/modelFiles.js';
import {
  evaluationModule,
  type Objective,
  type StudentModule,
  studentModule,
  type TeacherModule,
  teacherModule,
} from '#src/model/programs.js';
import { headName, loadTensor, loadWeights, type ModelFiles, sourcesOf } from '#src/model/weights.js';
import { learningRate } from '#src/training/schedule.js';

/** The joint step without actors: what tests compare with PyTorch and with itself. */

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
  readonly alpha: number;
  readonly temperature: number;
  readonly divergence?: Objective['divergence'];
  readonly beta?: number;
  readonly weightDecay: number;
  readonly dropout?: number;
  readonly recompute?: boolean;
  readonly microRows: number;
  readonly sequence: number;
  readonly threads?: number;
  /** Kernels of the webgpu device, which may be software; absent: the wasm device. */
  readonly kernels?: KernelKind;
}

/** Where gradients are kept as halves. */
const LOSS_SCALE = 64;

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
  const module = evaluationModule(student, batch, loraOptions(adapter.config));
  const device = await openDevice('wasm', { threads: 2 });
  const session = await device.compile(module.module);
  await loadWeights(session, sourcesOf(student), module.weights);
  for (const [tensor, value] of module.lora!.values) {
    await session.write(value, adapter.tensors.get(tensor)!.data);
  }
  const logits = await rowLogits(session, module, [{ ...batch, filled: batch.tokens.length, documents: [] }]);
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

/** A student with a live teacher, both on one device. */
export class Training {
  readonly student: StudentModule;
  readonly #teacher: TeacherModule | undefined;
  readonly #options: TrainingOptions;
  readonly #close: () => Promise<void>;
  readonly session: Session;
  readonly #teacherSession: Session | undefined;

  private constructor(
    options: TrainingOptions,
    student: StudentModule,
    teacher: TeacherModule | undefined,
    sessions: [Session, Session | undefined],
    close: () => Promise<void>,
  ) {
    this.#options = options;
    this.student = student;
    this.#teacher = teacher;
    this.session = sessions[0];
    this.#teacherSession = sessions[1];
    this.#close = close;
  }

  static async start(options: TrainingOptions): Promise<Training> {
    const device = await openTrainingDevice(options);
    const { lossScaling } = device.info;
    const { student, teacher, adapter, alpha, temperature, weightDecay, microRows, sequence } = options;
    const { divergence = 'forward-kl', beta = 0.5, dropout = 0, recompute = false } = options;
    const shape = { rows: microRows, sequence };
    const module = studentModule({
      student,
      teacher,
      lora: adapter && { ...loraOptions(adapter.config), dropout },
      objective: { alpha, temperature, divergence, beta },
      optimizer: { beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay },
      recompute,
      lossScaling,
      train: shape,
      evaluate: shape,
    });
    const session = await device.compile(module.module);
    if (lossScaling) await session.write(module.optimizer.lossScale!, Float32Array.of(LOSS_SCALE));
    await loadWeights(session, sourcesOf(student), module.trained.training.weights);
    for (const [name, { data }] of adapter?.tensors ?? []) {
      await session.write(module.trained.values.get(name)!, data);
    }
    const reader = teacher && teacherModule(teacher, shape);
    const readerSession = reader && (await device.compile(reader.module));
    if (teacher && reader && readerSession) {
      await loadWeights(readerSession, sourcesOf(teacher), reader.weights);
      const head = sourcesOf(teacher).get(headName(teacher.config))!;
      await loadTensor(session, head, module.teacherHead!);
    }
    return new Training(options, module, reader, [session, readerSession], () => device.close());
  }

  /** Forward and backward of a whole batch, micro-batch by micro-batch. */
  async learn(batch: Batch, step = 1, seed = 0): Promise<Losses> {
    const { microRows, sequence } = this.#options;
    const size = microRows * sequence;
    const ce = new Float32Array(batch.tokens.length);
    const kl = new Float32Array(batch.tokens.length);
    for (let first = 0; first < batch.tokens.length; first += size) {
      const part = <T extends Uint32Array | Int32Array>(array: T) => array.slice(first, first + size) as T;
      const values = this.student.step;
      await this.session.write(values.tokens, part(batch.tokens));
      await this.session.write(values.labels, part(batch.labels));
      await this.session.write(values.positions, part(batch.positions));
      await this.session.write(
        values.place,
        Uint32Array.from({ length: size }, (_, i) => first + i),
      );
      await this.session.write(values.seedStep, Uint32Array.of(seed, step));
      if (this.#teacher && this.#teacherSession) {
        await this.#teacherSession.write(this.#teacher.tokens, part(batch.tokens));
        await this.#teacherSession.write(this.#teacher.positions, part(batch.positions));
        await this.#teacherSession.run('forward');
        await this.session.write(
          values.teacherHidden!,
          await this.#teacherSession.read(this.#teacher.hidden),
        );
      }
      await this.session.run('step');
      ce.set((await this.session.read(values.ce)) as Float32Array, first);
      kl.set((await this.session.read(values.kl)) as Float32Array, first);
    }
    return { ce, kl, count: batch.labels.filter((label) => label >= 0).length };
  }

  /** Gradients of the summed loss, as accumulated since the last update. */
  async gradients(): Promise<Map<string, Float32Array>> {
    const entries = [...this.student.optimizer.gradients].map(async ([name, value]) => {
      const scaled = (await this.session.read(value)) as Float32Array;
      return [name, scaled.map((x) => x / this.#lossScale)] as const;
    });
    return new Map(await Promise.all(entries));
  }

  get #lossScale(): number {
    return this.student.optimizer.lossScale ? LOSS_SCALE : 1;
  }

  async parameters(): Promise<Map<string, Float32Array>> {
    const entries = [...this.student.trained.values].map(
      async ([name, value]) => [name, (await this.session.read(value)) as Float32Array] as const,
    );
    return new Map(await Promise.all(entries));
  }

  /** One optimizer update (`step` from 1). @returns the gradient norm before clipping */
  async update(file: CaseFile, step: number, count: number): Promise<number> {
    const { optimizer } = this.student;
    const schedule = {
      lr: file.learning_rate,
      warmup: file.warmup,
      schedule: 'cosine',
      decay: 0,
      steps: file.steps,
    } as const;
    for (const [value, number] of [
      [optimizer.step, step],
      [optimizer.learningRate, learningRate(schedule, step)],
      [optimizer.learningRateB, learningRate(schedule, step)],
      [optimizer.scale, 1 / (count * this.#lossScale)],
      [optimizer.clip, file.clip],
    ] as const) {
      await this.session.write(value, Float32Array.of(number));
    }
    await this.session.run('update');
    const squares = (await this.session.read(optimizer.squares)) as Float32Array;
    return Math.sqrt(squares.reduce((a, b) => a + b, 0)) / (count * this.#lossScale);
  }

  close(): Promise<void> {
    return this.#close();
  }
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
