import { type Device, PRIORITY, type Session } from '../devices/device.js';
import { type DeviceConnection, joinDevice } from '../devices/host.js';
import type { MicroBatch } from '../messages.js';
import { type BatchShape, type TeacherModule, teacherModule } from '../model/programs.js';
import { compilingOf, loadingOf, type Starting } from '../model/starting.js';
import { loadWeights, type ModelFiles, sourcesOf } from '../model/weights.js';

/** What a teacher says of a micro-batch. */
export interface TeacherAnswer {
  /** f32 [T, D], after the final norm. */
  readonly hidden: Float32Array<ArrayBuffer>;
  /** Tokens that the model read for it, without padding. */
  readonly tokens: number;
  /** Spent on it, without waiting for the device. */
  readonly ms: number;
}

/** Whoever can say what the teacher thinks of a micro-batch. */
export interface TeacherSource {
  read(batch: MicroBatch): Promise<TeacherAnswer>;
}

/** The teacher itself, on a device. */
export class LiveTeacher implements TeacherSource {
  readonly #device: Device;
  readonly #session: Session;
  readonly #model: TeacherModule;

  private constructor(device: Device, session: Session, model: TeacherModule) {
    this.#device = device;
    this.#session = session;
    this.#model = model;
  }

  static async start(
    files: ModelFiles,
    shape: BatchShape,
    device: DeviceConnection,
    tell: (starting: Starting) => void,
  ): Promise<LiveTeacher> {
    tell({ doing: 'compiling the teacher' });
    const model = teacherModule(files, shape);
    const joined = joinDevice(device);
    const session = await joined.compile(model.module, (compiling) =>
      tell(compilingOf('teacher', compiling)),
    );
    await loadWeights(session, sourcesOf(files), model.weights, (bytes, total) =>
      tell(loadingOf('teacher', bytes, total)),
    );
    return new LiveTeacher(joined, session, model);
  }

  close(): Promise<void> {
    return this.#device.close();
  }

  async read(batch: MicroBatch): Promise<TeacherAnswer> {
    await this.#session.write(this.#model.tokens, batch.tokens);
    await this.#session.write(this.#model.positions, batch.positions);
    const { done } = this.#session.submit('forward', PRIORITY.teacher, [this.#model.hidden]);
    const { stats, values } = await done;
    const hidden = values[0] as Float32Array<ArrayBuffer>;
    const tokens = batch.filled.reduce((sum, slots) => sum + slots, 0);
    return { hidden, tokens, ms: stats.totalMs - stats.waitMs };
  }
}
