import type { MessagePort } from 'node:worker_threads';
import type { Device, Session, SessionHandle } from '../devices/device.js';
import { type DeviceConnection, joinDevice } from '../devices/host.js';
import { type EvaluationText, evaluationWindows } from '../evaluation/heldOut.js';
import { received, type SentPlan } from '../evaluation/tasks/sentPlan.js';
import type { Tensors } from '../messages.js';
import { type StudentModule, type StudentOptions, studentModule } from '../model/programs.js';
import { channelAt } from '../world/channel.js';
import type { Place } from '../world/world.js';
import { named, offer, serve } from './actor.js';
import { Evaluation, type EvaluationRecord } from './evaluation.js';

export interface EvaluatorSetup {
  /** Held-out text to score; absent: none. */
  readonly text: EvaluationText | undefined;
  /** What else it is asked. */
  readonly plans: readonly SentPlan[];
  /** Folder of the tokenizer. */
  readonly tokenizer: string;
  readonly student: StudentOptions;
  readonly session: SessionHandle;
  readonly device: DeviceConnection;
  /** Where snapshots arrive. */
  readonly port: MessagePort;
  /** Those who share its work, and where they meet; alone without a port. */
  readonly place: Pick<Place, 'rank' | 'size'>;
  readonly ranks?: MessagePort | undefined;
}

/** What the student calls. */
export interface SnapshotSink {
  /** Takes the adapter after `step` steps and evaluates it; resolves once the evaluation before it is done. */
  load(step: number, parameters: Tensors): Promise<void>;
  /** Takes no more. @returns the step of the last one taken */
  halt(): Promise<number | undefined>;
}

interface Deferred {
  readonly promise: Promise<EvaluationRecord[]>;
  readonly resolve: (records: Promise<EvaluationRecord[]>) => void;
}

/** Evaluates snapshots of what is trained, on the student's weights and at the lowest priority. */
class Evaluator implements SnapshotSink {
  #setup!: EvaluatorSetup;
  #device!: Device;
  #session!: Session;
  #model!: StudentModule;
  #evaluation!: Evaluation;
  #running: Promise<unknown> = Promise.resolve();
  #loading: Promise<void> = Promise.resolve();
  #loaded: number | undefined;
  #isHalted = false;
  readonly #results = new Map<number, Deferred>();

  async start(setup: EvaluatorSetup): Promise<void> {
    this.#setup = setup;
    const rows = setup.text && (await evaluationWindows(setup.text));
    this.#model = studentModule(setup.student);
    this.#device = joinDevice(setup.device);
    this.#session = await this.#device.attach(this.#model.module, setup.session);
    this.#evaluation = new Evaluation({
      ...{ rows, module: this.#model, session: this.#session, tokenizer: setup.tokenizer },
      files: setup.student.student,
      rowsPerRun: setup.student.evaluate.rows,
      plans: setup.plans.map(received),
      ...{ place: setup.place, ranks: channelAt(setup.ranks) },
    });
    offer(this, setup.port);
  }

  async end(): Promise<void> {
    await this.#running;
    await this.#device.close();
    this.#setup.port.close();
    this.#setup.ranks?.close();
  }

  async load(step: number, parameters: Tensors): Promise<void> {
    await this.#running;
    if (this.#isHalted) return;
    this.#loading = this.#write(parameters);
    this.#loaded = step;
    await this.#loading;
    const records = named(
      'evaluator',
      () => `step ${step}`,
      () => this.#evaluation.records(step),
    );
    this.#running = records.catch(() => {});
    this.#result(step).resolve(records);
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
  async result(step: number): Promise<EvaluationRecord[]> {
    const records = await this.#result(step).promise;
    this.#results.delete(step);
    return records;
  }

  #result(step: number): Deferred {
    const known = this.#results.get(step);
    if (known) return known;
    const deferred = deferredRecords();
    this.#results.set(step, deferred);
    return deferred;
  }
}

function deferredRecords(): Deferred {
  let settle: Deferred['resolve'] = () => {};
  const promise = new Promise<EvaluationRecord[]>((resolve) => {
    settle = resolve;
  });
  promise.catch(() => {});
  return { promise, resolve: settle };
}

serve(() => new Evaluator());

export type { Evaluator };
