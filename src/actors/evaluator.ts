import type { MessagePort } from 'node:worker_threads';
import type { Row } from '../data/packing.js';
import { type Device, PRIORITY, type Session, type SessionHandle } from '../devices/device.js';
import { type DeviceConnection, joinDevice } from '../devices/host.js';
import { type EvaluationText, evaluationWindows } from '../evaluation/heldOut.js';
import { meanLoss } from '../evaluation/perplexity.js';
import type { Tensors } from '../messages.js';
import { type StudentModule, type StudentOptions, studentModule } from '../model/programs.js';
import type { EvalRecord } from '../records.js';
import { named, offer, serve } from './actor.js';

export interface EvaluatorSetup {
  readonly text: EvaluationText;
  readonly student: StudentOptions;
  readonly session: SessionHandle;
  readonly device: DeviceConnection;
  /** Where snapshots arrive. */
  readonly port: MessagePort;
}

/** What the student calls. */
export interface SnapshotSink {
  /** Takes the adapter after `step` steps and evaluates it; resolves once the evaluation before it is done. */
  load(step: number, parameters: Tensors): Promise<void>;
  /** Takes no more. @returns the step of the last one taken */
  halt(): Promise<number | undefined>;
}

interface Deferred {
  readonly promise: Promise<EvalRecord>;
  readonly resolve: (record: EvalRecord | Promise<EvalRecord>) => void;
}

/** Scores held-out text with snapshots of the adapter, on the student's weights and at the lowest priority. */
class Evaluator implements SnapshotSink {
  #setup!: EvaluatorSetup;
  #device!: Device;
  #rows!: Row[];
  #session!: Session;
  #model!: StudentModule;
  #rowsPerRun = 1;
  #running: Promise<unknown> = Promise.resolve();
  #loading: Promise<void> = Promise.resolve();
  #loaded: number | undefined;
  #isHalted = false;
  readonly #results = new Map<number, Deferred>();

  async start(setup: EvaluatorSetup): Promise<void> {
    this.#setup = setup;
    this.#rows = await evaluationWindows(setup.text);
    this.#model = studentModule(setup.student);
    this.#rowsPerRun = setup.student.evaluate.rows;
    this.#device = joinDevice(setup.device);
    this.#session = await this.#device.attach(this.#model.module, setup.session);
    offer(this, setup.port);
  }

  async end(): Promise<void> {
    await this.#running;
    await this.#device.close();
    this.#setup.port.close();
  }

  async load(step: number, parameters: Tensors): Promise<void> {
    await this.#running;
    if (this.#isHalted) return;
    this.#loading = this.#write(parameters);
    this.#loaded = step;
    await this.#loading;
    const record = named(
      'evaluator',
      () => `step ${step}`,
      () => this.#evaluate(step),
    );
    this.#running = record.catch(() => {});
    this.#result(step).resolve(record);
  }

  async halt(): Promise<number | undefined> {
    this.#isHalted = true;
    await this.#loading;
    return this.#loaded;
  }

  async #write(parameters: Tensors): Promise<void> {
    for (const [name, value] of this.#model.trained.snapshot) {
      await this.#session.write(value, parameters.get(name)!);
    }
  }

  /** The evaluation of the snapshot of `step`, once it has been loaded and scored. */
  async result(step: number): Promise<EvalRecord> {
    const record = await this.#result(step).promise;
    this.#results.delete(step);
    return record;
  }

  #result(step: number): Deferred {
    const known = this.#results.get(step);
    if (known) return known;
    const deferred = deferredRecord();
    this.#results.set(step, deferred);
    return deferred;
  }

  async #evaluate(step: number): Promise<EvalRecord> {
    const run = () => this.#session.run('evaluate', PRIORITY.evaluator);
    const { nll, tokens } = await meanLoss(
      this.#session,
      this.#model.evaluate,
      this.#rows,
      this.#rowsPerRun,
      run,
    );
    return { type: 'eval', step, nll, perplexity: Math.exp(nll), tokens };
  }
}

function deferredRecord(): Deferred {
  let settle: Deferred['resolve'] = () => {};
  const promise = new Promise<EvalRecord>((resolve) => {
    settle = resolve;
  });
  promise.catch(() => {});
  return { promise, resolve: settle };
}

serve(() => new Evaluator());

export type { Evaluator };
