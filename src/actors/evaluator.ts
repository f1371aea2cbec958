import type { MessagePort } from 'node:worker_threads';
import { InputError } from '../base/errors.js';
import { openDocuments } from '../data/documents.js';
import { createEncode, type EncodingOptions } from '../data/encoding.js';
import { holdOut } from '../data/holdOut.js';
import type { Row } from '../data/packing.js';
import { loadTokenizer } from '../data/tokenizer.js';
import { PRIORITY, type Session, type SessionHandle } from '../devices/device.js';
import { type DeviceConnection, joinDevice } from '../devices/host.js';
import { meanLoss } from '../evaluation/perplexity.js';
import { windowsOf } from '../evaluation/windows.js';
import type { Tensors } from '../messages.js';
import { type StudentModule, type StudentOptions, studentModule } from '../model/programs.js';
import type { EvalRecord } from '../records.js';
import { named, offer, serve } from './actor.js';
import type { TextOptions } from './loader.js';

export interface EvaluationText {
  readonly tokenizer: string;
  readonly text: TextOptions;
  /** Evaluate on this share of the text, held out of training; 0: on all of it. */
  readonly evalFraction: number;
  readonly encoding: EncodingOptions;
  readonly sequence: number;
  /** The most tokens to read. */
  readonly tokens: number;
}

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

/** Rows of windows of the evaluation text, as many as `tokens` allows; short ones share a row. */
export async function evaluationWindows(options: EvaluationText): Promise<Row[]> {
  const { sequence, evalFraction, encoding } = options;
  const encode = createEncode(await loadTokenizer(options.tokenizer), encoding);
  const documents = await openDocuments(options.text);
  const source = evalFraction > 0 ? (await holdOut(documents, evalFraction)).evaluation : documents;
  const { onBad } = options.text;
  const rows: Row[] = [];
  for await (const row of windowsOf(source, encode, { sequence, onBad, tokens: options.tokens }))
    rows.push(row);
  if (rows.length === 0) {
    throw new InputError(
      `expected text to evaluate on, found nothing to predict within --sequence ${sequence} tokens; give more, or raise it`,
    );
  }
  return rows;
}

interface Deferred {
  readonly promise: Promise<EvalRecord>;
  readonly resolve: (record: EvalRecord | Promise<EvalRecord>) => void;
}

/** Scores held-out text with snapshots of the adapter, on the student's weights and at the lowest priority. */
class Evaluator implements SnapshotSink {
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
    this.#rows = await evaluationWindows(setup.text);
    this.#model = studentModule(setup.student);
    this.#rowsPerRun = setup.student.evaluate.rows;
    this.#session = await joinDevice(setup.device).attach(this.#model.module, setup.session);
    offer(this, setup.port);
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

serve(new Evaluator());

export type { Evaluator };
