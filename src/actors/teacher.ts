import type { MessagePort } from 'node:worker_threads';
import * as Comlink from 'comlink';
import type { DeviceConnection } from '../devices/host.js';
import { TeacherCache } from '../formats/teacherCache.js';
import type { BatchSource, MicroBatch } from '../messages.js';
import type { BatchShape } from '../model/programs.js';
import type { ModelFiles } from '../model/weights.js';
import { named, offer, reach, serve } from './actor.js';
import { CachedTeacher, type CacheSetup } from './cachedTeacher.js';
import { LiveTeacher, type TeacherSource } from './liveTeacher.js';
import { type StartingMessage, teller } from './starting.js';

export interface TeacherSetup {
  readonly files: ModelFiles;
  readonly shape: BatchShape;
  readonly device: DeviceConnection;
  /** Where hidden states are kept; absent: nowhere. */
  readonly cache?: CacheSetup;
  /** Where batches come from, and where they go on with the teacher's signal. */
  readonly source: MessagePort;
  readonly port: MessagePort;
  /** Told of what is compiled and loaded, and what the user should know. */
  readonly progress: MessagePort;
}

/** Adds the teacher's hidden states to each micro-batch on its way to the student. */
class Teacher implements BatchSource {
  #setup!: TeacherSetup;
  #teacher!: TeacherSource;
  #cached: CachedTeacher | undefined;
  /** Once it has started, which with a cache it need not. */
  #live: Promise<LiveTeacher> | undefined;
  #source!: Comlink.Remote<BatchSource>;
  #ahead: Promise<unknown> = Promise.resolve();

  async start(setup: TeacherSetup): Promise<void> {
    const { files, shape, device, cache, source, port, progress } = setup;
    this.#setup = setup;
    const live = () => {
      this.#live = LiveTeacher.start(files, shape, device, teller(progress));
      return this.#live;
    };
    if (cache) {
      const opened = await TeacherCache.open(cache.folder, cache.identity);
      const warn = (warning: string) => progress.postMessage({ warning } satisfies StartingMessage);
      this.#cached = new CachedTeacher(cache, opened, live, warn);
    }
    this.#teacher = this.#cached ?? (await live());
    this.#source = reach<BatchSource>(source);
    offer(this, port);
  }

  async end(): Promise<void> {
    await this.#ahead;
    this.flush();
    await (await this.#live)?.close();
    const { port, progress } = this.#setup;
    for (const one of [port, progress]) one.close();
  }

  pull(): Promise<MicroBatch | null> {
    const next = this.#ahead.then(() => this.#next());
    this.#ahead = next.catch(() => {});
    return next;
  }

  /** Puts what a cache was given so far on the disk. */
  flush(): void {
    this.#cached?.flush();
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
    const { hidden, tokens: teacherTokens, ms: teacherMs } = await this.#teacher.read(batch);
    const spent = { ...batch.spent, teacherMs, teacherDataMs, teacherTokens };
    const { tokens, labels, positions, place } = batch;
    const arrays = [tokens, labels, positions, place, hidden].map((array) => array.buffer);
    return Comlink.transfer({ ...batch, spent, signal: { kind: 'hidden', hidden } }, arrays);
  }
}

serve(() => new Teacher());

export type { Teacher };
