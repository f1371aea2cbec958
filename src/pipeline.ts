import { MessageChannel, type MessagePort } from 'node:worker_threads';
import * as Comlink from 'comlink';
import { type Actor, spawn } from './actors/actor.js';
import type { Evaluator, EvaluatorSetup } from './actors/evaluator.js';
import type { LoaderSetup } from './actors/loader.js';
import type { Student, StudentSetup } from './actors/student.js';
import type { TeacherSetup } from './actors/teacher.js';
import type { Cursor } from './data/packing.js';
import type { DeviceHost } from './devices/host.js';
import { RunError } from './errors.js';
import { checkpointPath } from './formats/checkpointFiles.js';
import { lastCheckpoint, prepareRunFolder, runPaths } from './formats/runFolder.js';
import type { MetricsRecord, StepOrders, StepRecord } from './messages.js';
import type { Preparation } from './prepare.js';
import { Journal } from './report/journal.js';
import { version } from './version.js';

/** How a run ended. */
export interface RunResult {
  readonly out: string;
  /** The adapter's folder; absent when the run was stopped before its last step. */
  readonly adapter?: string;
  readonly steps: number;
  readonly finished: boolean;
}

/** What the pipeline tells and asks its owner. */
export interface RunHooks {
  readonly emit: (record: MetricsRecord) => void;
  readonly shouldStop: () => boolean;
}

/** Micro-batches each consumer asks for ahead, and the bytes they may take. */
const MAX_CREDITS = 2;
const QUEUE_BYTES = 256 * 2 ** 20;

/**
 * The whole run: loader -> teacher -> student -> evaluator, each in its own thread, all on one device. Everything that
 * can be wrong with the input fails before the first file is written.
 */
export async function runPipeline(
  prepared: Preparation,
  device: DeviceHost,
  hooks: RunHooks,
): Promise<RunResult> {
  const actors = new Actors(device);
  try {
    const run = new Run(prepared, actors, hooks);
    return await actors.guard(run.go(device));
  } catch (error) {
    const last = lastCheckpoint(prepared.out);
    if (!(error instanceof Error) || error.name !== 'RunError') throw error;
    throw new RunError(`${error.message}; last good checkpoint: ${last?.path ?? 'none'}`, { cause: error });
  } finally {
    await actors.close();
  }
}

/** The actors of a run; when one of them or the device dies, everything guarded rejects. */
class Actors {
  readonly #actors: Actor<unknown>[] = [];
  readonly #died: Promise<never>;
  #die: (error: Error) => void = () => {};

  constructor(device: DeviceHost) {
    this.#died = new Promise((_, reject) => {
      this.#die = reject;
    });
    this.#died.catch(() => {});
    void device.failed.then((error) => this.#die(new RunError(error.message)));
  }

  spawn<T>(name: string): Actor<T>['remote'] {
    const actor = spawn<T>(name, new URL(`./actors/${name}.js`, import.meta.url));
    this.#actors.push(actor as Actor<unknown>);
    void actor.failed.then((error) => this.#die(error));
    return actor.remote;
  }

  guard<T>(work: Promise<T>): Promise<T> {
    return Promise.race([work, this.#died]);
  }

  async close(): Promise<void> {
    await Promise.all(this.#actors.map((actor) => actor.close()));
  }
}

interface Starter<S> {
  start(setup: S): Promise<void>;
}

class Run {
  readonly #prepared: Preparation;
  readonly #actors: Actors;
  readonly #hooks: RunHooks;
  readonly #evaluates: boolean;
  #journal!: Journal;
  #student!: Comlink.Remote<Student>;
  #evaluator: Comlink.Remote<Evaluator> | undefined;

  constructor(prepared: Preparation, actors: Actors, hooks: RunHooks) {
    this.#prepared = prepared;
    this.#actors = actors;
    this.#hooks = hooks;
    this.#evaluates = prepared.options.evalData !== undefined || prepared.options.evalFraction > 0;
  }

  async go(device: DeviceHost): Promise<RunResult> {
    const { out, options, microBatch, resume, schedule } = this.#prepared;
    await this.#start(device);
    prepareRunFolder(out, { version, options, microBatch });
    this.#journal = new Journal(runPaths(out).metrics, resume?.state.metricsBytes ?? 0);
    try {
      if (!resume) await this.#begin(device);
      const steps = await this.#train();
      const finished = steps === schedule.steps;
      if (finished) await this.#finish(steps);
      return { out, steps, finished, ...(finished ? { adapter: runPaths(out).adapter } : {}) };
    } finally {
      this.#journal.close();
    }
  }

  async #start(device: DeviceHost): Promise<void> {
    const { teacher, microBatch, options } = this.#prepared;
    const shape = { rows: microBatch, sequence: options.sequence };
    const toTeacher = new MessageChannel();
    const toStudent = teacher ? new MessageChannel() : toTeacher;
    const snapshots = new MessageChannel();
    const begun = [this.#launch<LoaderSetup>('loader', this.#loaderSetup(toTeacher.port1))];
    if (teacher) {
      const ports = { source: toTeacher.port2, port: toStudent.port1 };
      begun.push(
        this.#launch<TeacherSetup>('teacher', {
          folder: teacher.folder,
          shape,
          device: device.connect(),
          ...ports,
        }),
      );
    }
    this.#student = this.#actors.spawn<Student>('student');
    const setup = this.#studentSetup(device, toStudent.port2, snapshots.port1);
    begun.push(this.#student.start(Comlink.transfer(setup, portsOf(setup))));
    await Promise.all(begun);
    if (this.#evaluates) await this.#startEvaluator(device, snapshots.port2);
  }

  #launch<S extends object>(name: string, setup: S): Promise<void> {
    const remote = this.#actors.spawn<Starter<S>>(name) as unknown as Starter<S>;
    return remote.start(Comlink.transfer(setup, portsOf(setup)));
  }

  #loaderSetup(port: MessagePort): LoaderSetup {
    const { options, microBatch, resume } = this.#prepared;
    const { eos, sequence, batch, shuffleRows, seed } = options;
    const cursor = resume && { cursor: resume.state.cursor as Cursor };
    return {
      tokenizer: options.student,
      text: this.#text(options.data),
      evalFraction: options.evalData === undefined ? options.evalFraction : 0,
      ...{ eos, sequence, batch, microBatch, shuffleRows, seed, port },
      step: resume?.state.step ?? 0,
      ...cursor,
    };
  }

  #studentSetup(device: DeviceHost, source: MessagePort, evaluator: MessagePort): StudentSetup {
    const { options, out, student, schedule, resume, microBatch } = this.#prepared;
    const tokens = microBatch * options.sequence;
    const batchBytes = tokens * 4 * (4 + (student.teacher?.config.hiddenSize ?? 0));
    return {
      ...{ student, schedule, source },
      clip: options.clip,
      seed: options.seed,
      baseModel: options.student,
      checkpoints: runPaths(out).checkpoints,
      keep: options.keep,
      device: device.connect(),
      credits: Math.max(1, Math.min(MAX_CREDITS, Math.floor(QUEUE_BYTES / batchBytes))),
      ...(this.#evaluates ? { evaluator } : {}),
      ...(resume ? { resume: resume.path } : options.init === undefined ? {} : { init: options.init }),
    };
  }

  async #startEvaluator(device: DeviceHost, port: MessagePort): Promise<void> {
    const { options, student } = this.#prepared;
    this.#evaluator = this.#actors.spawn<Evaluator>('evaluator');
    const setup: EvaluatorSetup = {
      text: {
        tokenizer: options.student,
        text: this.#text(options.evalData === undefined ? options.data : [options.evalData]),
        evalFraction: options.evalData === undefined ? options.evalFraction : 0,
        eos: options.eos,
        sequence: options.sequence,
        tokens: options.evalTokens,
      },
      student,
      session: await this.#student.handle(),
      device: device.connect(),
      port,
    };
    await this.#evaluator.start(Comlink.transfer(setup, portsOf(setup)));
  }

  #text(paths: readonly string[]) {
    const { textColumn, separator } = this.#prepared.options;
    return {
      paths,
      textColumn,
      ...(separator === undefined ? {} : { separator: separator.replaceAll('\\n', '\n') }),
    };
  }

  /** A fresh run: the first record, and the evaluation of the student as it is. */
  async #begin(device: DeviceHost): Promise<void> {
    const { options, parameters, schedule, microBatch } = this.#prepared;
    this.#record({
      ...{ type: 'start', version, device: device.description, parameters },
      ...{ steps: schedule.steps, micro_batch: microBatch, options },
    });
    if (this.#evaluates) {
      this.#evaluate(0);
      await this.#student.snapshot();
    }
  }

  async #train(): Promise<number> {
    const observer = {
      step: (record: StepRecord) => this.#afterStep(record),
      beforeCheckpoint: (step: number) => this.#beforeCheckpoint(step),
    };
    return this.#student.train(Comlink.proxy(observer) as unknown as Comlink.Remote<typeof observer>);
  }

  #afterStep(record: StepRecord): StepOrders {
    const { options, schedule } = this.#prepared;
    const { step } = record;
    this.#record(record);
    const last = step === schedule.steps;
    const stop = this.#hooks.shouldStop();
    const evaluate = this.#evaluates && (last || step % options.evalEvery === 0);
    if (evaluate) this.#evaluate(step);
    return { evaluate, stop, checkpoint: last || stop || step % options.checkpointEvery === 0 };
  }

  /** A checkpoint made only because the run was stopped leaves no record: the resumed run's file has none either. */
  #beforeCheckpoint(step: number): Promise<number> {
    const { options, out, schedule } = this.#prepared;
    if (step === schedule.steps || step % options.checkpointEvery === 0) {
      this.#record({ type: 'checkpoint', step, path: checkpointPath(runPaths(out).checkpoints, step) });
    }
    return this.#journal.flushed();
  }

  async #finish(step: number): Promise<void> {
    const { adapter } = runPaths(this.#prepared.out);
    await this.#student.saveAdapter(adapter);
    this.#record({ type: 'end', step, adapter });
    await this.#journal.flushed();
  }

  /** Expects the evaluation of `step`; its record comes here in the file, and at once to whoever listens. */
  #evaluate(step: number): void {
    const record = this.#actors.guard(this.#evaluator!.result(step));
    record.then(this.#hooks.emit, () => {});
    this.#journal.append(record);
  }

  #record(record: MetricsRecord): void {
    this.#journal.append(record);
    this.#hooks.emit(record);
  }
}

/** The ports directly in a setup, or in its device connection: all must be transferred. */
function portsOf(setup: object): MessagePort[] {
  const values = Object.values(setup) as unknown[];
  const device = (setup as { device?: { port: MessagePort } }).device;
  const ports = device ? [...values, device.port] : values;
  return ports.filter((value): value is MessagePort => value?.constructor?.name === 'MessagePort');
}
