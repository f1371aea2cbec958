import type { MessagePort } from 'node:worker_threads';
import * as Comlink from 'comlink';
import { type Device, PRIORITY, type Session } from '../devices/device.js';
import { type DeviceConnection, joinDevice } from '../devices/host.js';
import type { BatchSource, MicroBatch } from '../messages.js';
import { type BatchShape, type TeacherModule, teacherModule } from '../model/programs.js';
import { loadWeights, type ModelFiles, sourcesOf } from '../model/weights.js';
import { named, offer, reach, serve } from './actor.js';
import { loadingOf, teller } from './starting.js';

export interface TeacherSetup {
  readonly files: ModelFiles;
  readonly shape: BatchShape;
  readonly device: DeviceConnection;
  /** Where batches come from, and where they go on with the teacher's signal. */
  readonly source: MessagePort;
  readonly port: MessagePort;
  /** Told of what is compiled and loaded, until it is. */
  readonly progress: MessagePort;
}

/** Reads each micro-batch on its way to the student and adds its hidden states. */
class Teacher implements BatchSource {
  #setup!: TeacherSetup;
  #device!: Device;
  #session!: Session;
  #model!: TeacherModule;
  #source!: Comlink.Remote<BatchSource>;
  #ahead: Promise<unknown> = Promise.resolve();

  async start(setup: TeacherSetup): Promise<void> {
    this.#setup = setup;
    const { files, shape, progress } = setup;
    const tell = teller(progress);
    tell({ doing: 'compiling the teacher' });
    this.#model = teacherModule(files, shape);
    this.#device = joinDevice(setup.device);
    this.#session = await this.#device.compile(this.#model.module);
    await loadWeights(this.#session, sourcesOf(files), this.#model.weights, (bytes, total) =>
      tell(loadingOf('teacher', bytes, total)),
    );
    progress.close();
    this.#source = reach<BatchSource>(setup.source);
    offer(this, setup.port);
  }

  async end(): Promise<void> {
    await this.#ahead;
    await this.#device.close();
    this.#setup.port.close();
  }

  pull(): Promise<MicroBatch | null> {
    const next = this.#ahead.then(() => this.#next());
    this.#ahead = next.catch(() => {});
    return next;
  }

  async #next(): Promise<MicroBatch | null> {
    const asked = performance.now();
    const batch = await this.#source.pull();
    const dataMs = performance.now() - asked;
    return (
      batch &&
      named(
        'teacher',
        () => `step ${batch.step}`,
        () => this.#read(batch, dataMs),
      )
    );
  }

  async #read(batch: MicroBatch, teacherDataMs: number): Promise<MicroBatch> {
    await this.#session.write(this.#model.tokens, batch.tokens);
    await this.#session.write(this.#model.positions, batch.positions);
    const { done } = this.#session.submit('forward', PRIORITY.teacher, [this.#model.hidden]);
    const { stats, values } = await done;
    const hidden = values[0] as Float32Array<ArrayBuffer>;
    const { totalMs, waitMs } = stats;
    const spent = { ...batch.spent, teacherMs: totalMs - waitMs, teacherDataMs };
    const { tokens, labels, positions, place } = batch;
    const arrays = [tokens, labels, positions, place, hidden].map((array) => array.buffer);
    return Comlink.transfer({ ...batch, spent, signal: { kind: 'hidden', hidden } }, arrays);
  }
}

serve(() => new Teacher());
