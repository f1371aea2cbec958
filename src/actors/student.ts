import type { MessagePort } from 'node:worker_threads';
import * as Comlink from 'comlink';
import { lastValueFrom, takeWhile } from 'rxjs';
import { DivergedError, RunError } from '../base/errors.js';
import type { Compiling, Device, Session, SessionHandle } from '../devices/device.js';

import { type DeviceConnection, joinDevice } from '../devices/host.js';
import { writeBest } from '../formats/best.js';
import { readCheckpoint, readSnapshot, writeCheckpoint } from '../formats/checkpoint.js';
import { pruneCheckpoints } from '../formats/checkpointFiles.js';
import { startHash } from '../formats/hashes.js';
import { type Artifact, writeParameters } from '../formats/parameters.js';
import { finiteSource, placeOf } from '../formats/tensors/finite.js';
import type { TensorSource } from '../formats/tensors/source.js';
import type {
  BatchSource,
  CheckpointFacts,
  CheckpointOrders,
  MeasuredValue,
  MicroBatch,
  RunState,
  StepOrders,
  Tensors,
} from '../messages.js';
import { endsPart, type Part } from '../model/gradientTree.js';
import { type StudentModule, type StudentOptions, studentModule } from '../model/programs.js';
import { sessionSources } from '../model/sessionSource.js';
import { compilingOf, loadingOf, type Starting } from '../model/starting.js';
import { fillValue, headName, loadTensor, sourcesOf } from '../model/weights.js';
import type { Value } from '../program/types.js';
import type { StepRecord } from '../records.js';
import { totalsOf } from '../training/batchTotals.js';
import { fillFrozen, fillStart } from '../training/begin.js';
import { GradientExchange, ownParts } from '../training/gradientExchange.js';
import { LossScale } from '../training/lossScale.js';
import { learningRate, type ScheduleOptions } from '../training/schedule.js';
import { TrainingStep } from '../training/step.js';
import { StepMeter } from '../training/stepMeter.js';
import { channelAt } from '../world/channel.js';
import type { Channel, Place } from '../world/world.js';
import { named, reach, serve } from './actor.js';
import { pulled } from './credits.js';
import type { SnapshotSink } from './evaluator.js';
import { type StartingMessage, teller } from './starting.js';

export interface StudentSetup {
  readonly student: StudentOptions;
  readonly schedule: ScheduleOptions;
  /** Global gradient norm is clipped here; 0: not at all. */
  readonly clip: number;
  readonly seed: number;
  /** Learning rate of the B factors over that of the others (LoRA+). */
  readonly loraPlus: number;
  readonly artifact: Artifact;
  /** A checkpoint to go on from, or an adapter to start from. */
  readonly resume?: string;
  readonly init?: string;
  readonly checkpoints: string;
  /** Where what the best evaluation was of is kept. */
  readonly best: string;
  /** Checkpoints to keep. */
  readonly keep: number;
  readonly device: DeviceConnection;
  /** That look for singular vectors to start with. */
  readonly threads: number;
  readonly source: MessagePort;
  /** Where snapshots go; absent without evaluation. */
  readonly evaluator?: MessagePort;
  /** Micro-batches asked for ahead. */
  readonly credits: number;
  /** Told of what is compiled and loaded, until it is. */
  readonly progress: MessagePort;
  /** Those who share its batches, and where they meet; alone without a port. */
  readonly place: Pick<Place, 'rank' | 'size'>;
  readonly ranks?: MessagePort | undefined;
}

/** What the run does between steps. */
export interface StepObserver {
  step(record: StepRecord): Promise<StepOrders>;
  /**
   * Resolves with what the checkpoint has to hold once everything up to this step is in metrics.jsonl; after a stop,
   * without evaluations that read the parameters of this step or of `snapshot`.
   */
  beforeCheckpoint(step: number, snapshot: number | undefined): Promise<CheckpointOrders>;
  /** It is on the disk. */
  afterCheckpoint(step: number): Promise<void>;
}

/** Trains an adapter or a model: forward and backward of each micro-batch, one optimizer update per batch. */
export class Student {
  #setup!: StudentSetup;
  #tell!: (starting: Starting) => void;
  #device!: Device;
  #session!: Session;
  #model!: StudentModule;
  #source!: Comlink.Remote<BatchSource>;
  #evaluator: Comlink.Remote<SnapshotSink> | undefined;
  #observer!: Comlink.Remote<StepObserver>;
  #letObserverGo: () => void = () => {};
  #step!: TrainingStep;
  #meter!: StepMeter;
  #ranks!: Channel;
  /** What this rank adds up of each batch. */
  #parts!: readonly Part[];
  /** Present where a batch is shared. */
  #exchange: GradientExchange | undefined;
  /** Present where the device keeps gradients as halves. */
  #lossScale: LossScale | undefined;
  /** The micro-batch on the device, until its losses have been counted. */
  #learning: Promise<void> = Promise.resolve();
  /** The micro-batch at hand, with all that follows from it. */
  #working: Promise<unknown> = Promise.resolve();
  /** Set once the training is given up amid a step. */
  #isAbandoned = false;
  #abandon: () => void = () => {};
  readonly #abandoned = new Promise<void>((resolve) => {
    this.#abandon = resolve;
  });
  /** The step whose parameters the evaluator has. */
  #snapshotStep: number | undefined;
  #savedStep = 0;
  #state: Omit<RunState, keyof CheckpointFacts> = { step: 0, tokens: 0, elapsedSeconds: 0, cursor: null };

  async start(setup: StudentSetup): Promise<void> {
    this.#setup = setup;
    const { teacher } = setup.student;
    this.#tell = teller(setup.progress);
    this.#tell({ doing: 'compiling the student' });
    this.#model = studentModule(setup.student);
    this.#device = joinDevice(setup.device);
    const tell = (compiling: Compiling) => this.#tell(compilingOf('student', compiling));
    this.#session = await this.#device.compile(this.#model.module, tell);
    if (teacher && this.#model.teacherHead) {
      const head = sourcesOf(teacher).get(headName(teacher.config))!;
      await loadTensor(this.#session, head, this.#model.teacherHead);
    }
    await this.#restore();
    if (setup.student.lossScaling) this.#lossScale = new LossScale(this.#state.lossScale);
    const { seed, clip, loraPlus, student, place } = setup;
    const sharing = { place, microBatches: student.microBatches };
    this.#parts = ownParts(sharing);
    this.#ranks = channelAt(setup.ranks);
    if (place.size > 1) {
      const { gradients } = this.#model.optimizer;
      this.#exchange = new GradientExchange(this.#session, gradients, this.#ranks, sharing);
    }
    this.#step = await TrainingStep.prepare(this.#session, this.#model, {
      parts: this.#parts,
      seed,
      clip,
      loraPlus,
      lossScale: this.#lossScale,
    });
    setup.progress.close();
    this.#source = reach<BatchSource>(setup.source);
    if (setup.evaluator) this.#evaluator = reach<SnapshotSink>(setup.evaluator);
  }

  async end(): Promise<void> {
    await this.#device.close();
    this.#letObserverGo();
    this.#setup.source.close();
    this.#setup.evaluator?.close();
    this.#setup.ranks?.close();
  }

  handle(): SessionHandle {
    const handle = this.#session.handle();
    return Comlink.transfer(handle, [...handle.transfer] as never);
  }

  /** Gives the evaluator the parameters as they are now; of an earlier step, those that a stop left in its checkpoint. */
  async snapshot(step = this.#state.step): Promise<void> {
    const { values } = this.#model.trained;
    const isNow = step === this.#state.step;
    const tensors = isNow ? await this.#read(values) : readSnapshot(this.#setup.resume!);
    const buffers = [...tensors.values()].map((data) => data.buffer as ArrayBuffer);
    await this.#evaluator?.load(step, Comlink.transfer(tensors, buffers));
    this.#snapshotStep = step;
  }

  /** Publishes what the evaluator has as the best so far, before it is given anything else. */
  async keepBest(best: MeasuredValue): Promise<void> {
    if (best.step !== this.#snapshotStep) {
      throw new Error(`Expected the snapshot of step ${best.step}, found that of ${this.#snapshotStep}`);
    }
    const parameters = sessionSources(this.#session, this.#model.trained.snapshot);
    await writeBest(this.#setup.best, this.#setup.artifact, { parameters, start: this.#start }, best);
  }

  /** Runs until the last step, until the observer says stop, or until it is abandoned. @returns the last step done. */
  async train(observer: Comlink.Remote<StepObserver>): Promise<number> {
    this.#observer = observer;
    this.#letObserverGo = () => observer[Comlink.releaseProxy]();
    const { steps } = this.#setup.schedule;
    if (this.#state.step >= steps) return this.#state.step;
    this.#meter = new StepMeter(this.#state.elapsedSeconds);
    const work = async (batch: MicroBatch) => {
      if (this.#isAbandoned) return false;
      const learned = named(
        'student',
        () => `step ${batch.step}`,
        () => this.#learn(batch),
      );
      this.#working = learned;
      return learned;
    };
    const batches = pulled(this.#source, this.#setup.credits, work);
    const done = lastValueFrom(batches.pipe(takeWhile((more) => more)), { defaultValue: false });
    await Promise.race([done, this.#abandoned]);
    if (this.#isAbandoned) await this.#saveWholeSteps();
    return this.#state.step;
  }

  /** Gives up the step at hand: `train` resolves once those before it are in a checkpoint. */
  abandon(): void {
    this.#isAbandoned = true;
    this.#abandon();
  }

  /** Micro-batches of half a step have changed no parameter. */
  async #saveWholeSteps(): Promise<void> {
    await this.#working;
    if (this.#state.step > this.#savedStep) await this.#checkpoint();
  }

  /** Publishes what was trained. @returns its path */
  async save(folder: string): Promise<string> {
    const { artifact } = this.#setup;
    const trained = sessionSources(this.#session, this.#model.trained.values).map(this.#finite);
    const save = () => writeParameters(folder, artifact, trained, this.#start);
    return named('student', () => `the ${this.#setup.artifact.kind}`, save);
  }

  /** One micro-batch; the last one of a batch also updates the parameters. @returns whether to go on. */
  async #learn(batch: MicroBatch): Promise<boolean> {
    this.#meter.received(batch);
    const { accepted, done } = await this.#step.learn(batch, batch.signal);
    const before = this.#learning;
    this.#learning = done.then((learned) => {
      this.#meter.ran(learned.stats);
      this.#meter.learned(batch, learned, this.#lossScale);
    });
    // Its losses are looked at once the next micro-batch is on its way; a failure shows there.
    this.#learning.catch(() => {});
    await Promise.all([accepted, before]);
    if (this.#exchange && endsPart(this.#parts, batch.index)) {
      await this.#learning;
      await this.#exchange.send(batch.step);
    }
    if (batch.last) return this.#update(batch);
    this.#meter.waits();
    return true;
  }

  async #update({ step, cursor }: MicroBatch): Promise<boolean> {
    const lr = learningRate(this.#setup.schedule, step);
    const met = performance.now();
    this.#exchange?.endRounds(step);
    const counts = await this.#ranks.gather(this.#meter.counts, `step ${step}`);
    const count = counts.flat().reduce((a, b) => a + b, 0);
    await this.#exchange?.finish(step);
    if (this.#exchange) this.#meter.met(performance.now() - met);
    const updated = this.#step.update({ step, learningRate: lr, count });
    const [{ stats, squares }] = await Promise.all([updated, this.#learning]);
    this.#meter.ran(stats);
    const shares = await this.#ranks.gather(this.#meter.share, `step ${step}: losses`);
    const facts = shares.flatMap((share) => share.facts);
    const tokens = this.#state.tokens + totalsOf(facts).tokens;
    const { alpha } = this.#setup.student.objective;
    const lossScale = this.#lossScale;
    const record = this.#meter.finish({ step, tokens, alpha, lr, shares, squares, lossScale });
    lossScale?.count(record.grad_norm === null);
    this.#state = {
      step,
      tokens,
      elapsedSeconds: record.elapsed_s,
      cursor,
      lossScale: lossScale?.state,
    };
    return this.#obey(await this.#observer.step(record));
  }

  async #obey({ evaluate, checkpoint, stop, best }: StepOrders): Promise<boolean> {
    if (best) await this.keepBest(best);
    if (evaluate) await Promise.race([this.snapshot(), this.#abandoned]);
    if (checkpoint) {
      await this.#checkAgreement();
      if (this.#setup.place.rank === 0) await this.#checkpoint();
    }
    this.#meter.resume();
    return !stop && this.#state.step < this.#setup.schedule.steps;
  }

  /** What all ranks have trained is the same, or one of them computes wrongly. */
  async #checkAgreement(): Promise<void> {
    const { place } = this.#setup;
    if (place.size === 1) return;
    const hash = await startHash();
    for (const value of this.#model.trained.values.values()) {
      hash.update(new Uint8Array((await this.#session.read(value)).buffer));
    }
    const { step } = this.#state;
    const hashes = await this.#ranks.gather(hash.digest(), `step ${step}: comparing`);
    const other = hashes.findIndex((found) => found !== hashes[0]);
    if (other < 0) return;
    throw new RunError(
      `expected the same weights on all ranks after step ${step}, found others on rank ${other} than on rank 0; ` +
        'start all ranks on machines and GPUs of one kind, and have the memory of theirs tested',
    );
  }

  async #checkpoint(): Promise<void> {
    const { step } = this.#state;
    if (this.#isAbandoned) this.#snapshotStep = await this.#evaluator?.halt();
    const { facts, best } = await this.#observer.beforeCheckpoint(step, this.#snapshotStep);
    if (best) await this.keepBest(best);
    const hasBest = facts.evaluations?.keepBest?.best !== undefined;
    const { artifact, checkpoints, keep } = this.#setup;
    const { trained, optimizer } = this.#model;
    const waits = (facts.held ?? []).some((record) => 'evaluation' in record && record.evaluation !== step);
    await writeCheckpoint(checkpoints, artifact, {
      parameters: sessionSources(this.#session, trained.values),
      start: this.#start,
      first: sessionSources(this.#session, optimizer.first),
      second: sessionSources(this.#session, optimizer.second),
      snapshot: waits ? sessionSources(this.#session, trained.snapshot) : undefined,
      best: hasBest ? this.#setup.best : undefined,
      state: { ...this.#state, ...facts },
    });
    this.#savedStep = step;
    pruneCheckpoints(checkpoints, keep);
    await this.#observer.afterCheckpoint(step);
  }

  /** Fills in frozen weights, and what is trained: from a checkpoint, or as it begins. */
  async #restore(): Promise<void> {
    const { resume, artifact, student, init, seed, threads, progress: port } = this.#setup;
    const { trained } = this.#model;
    const beginning = { files: student.student, lora: student.lora, init, seed, threads };
    const loaded = (bytes: number, total: number) => this.#tell(loadingOf('student', bytes, total));
    await fillFrozen(this.#session, trained, beginning, loaded);
    if (resume === undefined) {
      await fillStart(this.#session, trained, beginning, {
        loaded,
        progress: (done, total) => this.#tell({ doing: 'starting point', done, total, unit: 'matrices' }),
        problem: (warning) => port.postMessage({ warning } satisfies StartingMessage),
      });
      return;
    }
    const hasStart = trained.start.size > 0;
    const { parameters, start = [], first, second, state } = readCheckpoint(resume, artifact.kind, hasStart);
    await this.#fill(trained.values, parameters);
    await this.#fill(trained.start, start);
    await this.#fill(this.#model.optimizer.first, first);
    await this.#fill(this.#model.optimizer.second, second);
    this.#state = state;
    this.#savedStep = state.step;
  }

  get #start(): TensorSource[] {
    return sessionSources(this.#session, this.#model.trained.start);
  }

  /** Refuses to publish what the last update may have made of the parameters, which no loss has shown yet. */
  readonly #finite = (source: TensorSource): TensorSource =>
    finiteSource(source, ({ index, value }) => {
      const place = placeOf(index, source.shape).join(', ');
      return new DivergedError(
        `tensor ${source.name}: expected finite numbers after the last step, found ${value} at [${place}]; lower --lr`,
      );
    });

  async #fill(values: ReadonlyMap<string, Value>, sources: readonly TensorSource[]): Promise<void> {
    const byName = new Map(sources.map((source) => [source.name, source]));
    for (const [name, value] of values) await fillValue(this.#session, byName.get(name)!, value);
  }

  async #read(values: ReadonlyMap<string, Value>): Promise<Tensors> {
    const names = [...values.keys()];
    const arrays = await this.#readAll(...values.values());
    return new Map(names.map((name, i) => [name, arrays[i]!]));
  }

  async #readAll<V extends Value[]>(...values: V): Promise<{ [I in keyof V]: Float32Array }> {
    const arrays = await Promise.all(values.map((value) => this.#session.read(value)));
    return arrays as { [I in keyof V]: Float32Array };
  }
}

serve(() => new Student());
