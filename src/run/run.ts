import { setTimeout as delay } from 'node:timers/promises';
import * as Comlink from 'comlink';
import type { Actors } from '../actors/actors.js';
import type { Evaluator } from '../actors/evaluator.js';
import type { Student } from '../actors/student.js';
import type { Teacher } from '../actors/teacher.js';
import { version } from '../base/version.js';
import { hashTexts } from '../data/documents/contentHash.js';
import type { DeviceHosts } from '../devices/host.js';
import { hashPlans } from '../evaluation/tasks/hashPlans.js';
import { restoreBest } from '../formats/best.js';
import { copyCheckpoint } from '../formats/checkpoint.js';
import { checkpointPath, setAside } from '../formats/checkpointFiles.js';
import type { RunFile } from '../formats/runFile.js';
import { prepareRunFolder, runPaths } from '../formats/runFolder.js';
import type { CheckpointOrders, HeldRecord, StepOrders } from '../messages.js';
import { checkTexts, hashTokenizers } from '../prepare/checkTexts.js';
import { evaluates } from '../prepare/evaluates.js';
import { parseFork } from '../prepare/origin.js';
import type { Preparation } from '../prepare/prepare.js';
import type { CheckpointRecord, MetricsRecord, StepRecord } from '../records.js';
import { Journal } from '../report/journal.js';
import type { World } from '../world/world.js';
import { Decisions } from './decisions.js';
import { Evaluations } from './evaluations.js';
import type { RunHooks } from './hooks.js';
import { lacksLastEvaluation } from './lastEvaluation.js';
import { startPipeline } from './pipeline.js';
import { type RunResult, stoppedResult } from './result.js';
import { Votes } from './votes.js';

interface RunSetting {
  readonly world: World;
  readonly isOneOfMany: boolean;
}

/** After a stop, so long for the step at hand; then so long for a checkpoint of the step before it. */
const STEP_GRACE_MS = 1500;
const SAVE_GRACE_MS = 2000;

/** A run as the first of its ranks has it, which decides and writes; alone, it is the only one. */
export class Run {
  readonly #prepared: Preparation;
  readonly #actors: Actors;
  readonly #hooks: RunHooks;
  readonly #evaluates: boolean;
  /** Whether other runs follow in the same threads. */
  readonly #isOneOfMany: boolean;
  #journal: Journal | undefined;
  #student!: Comlink.Remote<Student>;
  #teacher: Comlink.Remote<Teacher> | undefined;
  /** Whether a stop has anything to save, or to wait for. */
  #isWriting = false;
  #lastStep = 0;
  #file!: RunFile;
  #texts!: Promise<Record<string, string>>;
  #evaluator: Comlink.Remote<Evaluator> | undefined;
  readonly #decisions: Decisions;
  readonly #world: World;
  readonly #votes: Votes;
  #evaluations!: Evaluations;
  /** The last step, which evaluations may bring forward. */
  #steps: number;

  constructor(prepared: Preparation, actors: Actors, hooks: RunHooks, { world, isOneOfMany }: RunSetting) {
    this.#isOneOfMany = isOneOfMany;
    this.#world = world;
    this.#votes = new Votes(world);
    this.#prepared = prepared;
    this.#actors = actors;
    this.#hooks = hooks;
    this.#evaluates = evaluates(prepared.options);
    const state = prepared.resume?.state;
    this.#decisions = new Decisions(prepared.options, state?.evaluations);
    this.#steps = this.#decisions.ended ? state!.step : prepared.schedule.steps;
  }

  async go(devices: DeviceHosts): Promise<RunResult> {
    const { out, resume } = this.#prepared;
    this.#texts = this.#hashes();
    this.#texts.catch(() => {});
    await this.#start(devices);
    if (resume) checkTexts(resume.state.texts, await this.#texts);
    if (this.#hooks.shouldStop()) return stoppedResult(out);
    this.#isWriting = true;
    await this.#votes.tell({ step: resume?.state.step ?? 0 });
    await this.#openFolder(devices);
    if (this.#hooks.shouldStop()) return stoppedResult(out);
    const done = resume?.state.step ?? 0;
    const steps = done < this.#steps ? await this.#train() : done;
    const finished = steps === this.#steps;
    const made = await this.#save(steps, finished);
    const { ended, best } = this.#decisions;
    return { out, steps, finished, ...made, ...(ended && { earlyStop: ended }), ...(best && { best }) };
  }

  /**
   * After a stop: at once where nothing is written yet. Else `go` ends with the step at hand; a long one is given up
   * for a checkpoint of the step before it, and where that takes too long the last one on the disk has to do.
   */
  async halted(): Promise<RunResult> {
    await this.#hooks.stopped;
    if (this.#isWriting) {
      await delay(STEP_GRACE_MS, undefined, { ref: false });
      this.#student.abandon().catch(() => {});
      await delay(SAVE_GRACE_MS, undefined, { ref: false });
    }
    const result = stoppedResult(this.#prepared.out);
    const unsaved = this.#lastStep - result.steps;
    return unsaved > 0 ? { ...result, unsaved } : result;
  }

  /** The others end with the first rank. */
  async end(): Promise<void> {
    await this.#votes.tell({ step: this.#lastStep, isOver: true });
  }

  /** Once the actors are gone: a dead one leaves calls that never settle, and `go` with them. */
  close(): void {
    this.#journal?.close();
  }

  /** Of what the run reads: a resume is held to it. */
  async #hashes(): Promise<Record<string, string>> {
    const { text, evaluation, models, options } = this.#prepared;
    const texts = await hashTexts([...text.data, ...(text.evalData ?? [])]);
    const tokenizers = await hashTokenizers({
      [options.student ?? options.fromConfig!]: models.student,
      ...(text.idsTokenizer !== undefined && { [options.idsTokenizer!]: text.idsTokenizer }),
    });
    return { ...texts, ...tokenizers, ...(await hashPlans(evaluation.plans)) };
  }

  /** The first files that are written: run.json, metrics.jsonl up to the checkpoint, of a fork its first checkpoint. */
  async #openFolder(devices: DeviceHosts): Promise<void> {
    const { out, options, models, text, chatTemplate, resume, schedule } = this.#prepared;
    const [student, teacher] = await Promise.all([devices.student.choices(), devices.teacher.choices()]);
    const commits = { ...models.commits, ...text.commits };
    this.#file = { version, options, commits, chatTemplate, variants: { student, teacher } };
    for (const { path } of resume?.damaged ?? []) setAside(path);
    if (resume?.forked) {
      const facts = { run: this.#file, steps: schedule.steps, texts: await this.#texts };
      await copyCheckpoint(resume.path, runPaths(out).checkpoints, { ...resume.state, ...facts });
    }
    prepareRunFolder(out, this.#file);
    const { metricsBytes = 0, recorded, step = 0, steps } = resume?.state ?? {};
    this.#journal = await Journal.open(runPaths(out).metrics, metricsBytes);
    if (options.keepBest !== undefined)
      await restoreBest(runPaths(out).best, resume?.forked ? undefined : resume?.path);
    this.#evaluations = this.#evaluationsOf(this.#journal);
    if (metricsBytes === 0) await this.#begin(devices, step);
    const hasEnded = this.#decisions.ended !== undefined;
    for (const record of resume?.state.held ?? []) await this.#goOn(record, step);
    // Told when the checkpoint was made, or would have been; a kill or a stop may have come between.
    const isTold = recorded || (this.#decisions.ended !== undefined && !hasEnded);
    if (isTold) this.#journal.append(this.#checkpointRecord(step));
    if (metricsBytes > 0 && steps !== undefined && steps !== schedule.steps) {
      this.#record({ type: 'length', step, steps: schedule.steps });
      if (lacksLastEvaluation(this.#prepared)) await this.#evaluate(step, step);
      if (step === schedule.steps && !isTold) this.#record(this.#checkpointRecord(step));
    }
  }

  #evaluationsOf(journal: Journal): Evaluations {
    const { emit, stopped } = this.#hooks;
    const result = (step: number) => this.#actors.guard(this.#evaluator!.result(step));
    return new Evaluations({ emit, stopped, result }, journal, this.#decisions);
  }

  /**
   * A line that a stop left out of metrics.jsonl, or the evaluation that it waited for; of a second one what the first
   * came to decides as it would have before.
   * @param done steps
   */
  async #goOn(record: HeldRecord, done: number): Promise<void> {
    if (!('evaluation' in record)) {
      this.#journal!.append(record as MetricsRecord);
      return;
    }
    await this.#evaluate(record.evaluation, done);
  }

  /** The evaluation of `step`; what those before it came to decides, where it is the last one done. */
  async #evaluate(step: number, done: number): Promise<void> {
    await this.#flushEvaluations(step);
    if (step === done && this.#decisions.end()) this.#steps = step;
    this.#evaluations.expect(step);
    await this.#student.snapshot(step);
  }

  /** Once all evaluations so far are in the file, publishes the best of them. */
  async #flushEvaluations(step: number): Promise<void> {
    await this.#evaluations.during(step, () => this.#journal!.flushed());
    const best = this.#evaluations.publish();
    if (best) await this.#student.keepBest(best);
  }

  async #start(devices: DeviceHosts): Promise<void> {
    const { emit } = this.#hooks;
    const started = await startPipeline(this.#prepared, this.#actors, devices, {
      ...{ emit, world: this.#world, keepsRows: this.#isOneOfMany },
    });
    this.#student = started.student;
    this.#teacher = started.teacher;
    this.#evaluator = started.evaluator;
  }

  /** A run's first record, and the evaluation of the student as it is: after `step` steps where it is a fork. */
  async #begin(devices: DeviceHosts, step: number): Promise<void> {
    const { options, parameters, schedule, microBatch } = this.#prepared;
    const fork = options.fork === undefined ? {} : { fork: parseFork(options.fork) };
    this.#record({
      type: 'start',
      version,
      device: devices.description,
      parameters,
      ...fork,
      steps: schedule.steps,
      micro_batch: microBatch,
      options,
    });
    if (this.#evaluates) {
      this.#evaluations.expect(step);
      await this.#student.snapshot();
    }
  }

  async #train(): Promise<number> {
    this.#actors.doing = `step ${(this.#prepared.resume?.state.step ?? 0) + 1}`;
    const observer = {
      step: (record: StepRecord) => this.#afterStep(record),
      beforeCheckpoint: (step: number, snapshot?: number) => this.#beforeCheckpoint(step, snapshot),
      afterCheckpoint: (step: number) => this.#afterCheckpoint(step),
    };
    return this.#student.train(Comlink.proxy(observer) as unknown as Comlink.Remote<typeof observer>);
  }

  async #afterStep(record: StepRecord): Promise<StepOrders> {
    if (this.#evaluations.failed) throw this.#evaluations.failed;
    const { options, schedule } = this.#prepared;
    const { step } = record;
    this.#record(record);
    this.#lastStep = step;
    this.#actors.doing = `step ${step + 1}`;
    const evaluates = this.#evaluates && (step === schedule.steps || step % options.evalEvery === 0);
    const isSettled = !evaluates || (await this.#evaluations.settle(step));
    const best = evaluates && isSettled ? this.#evaluations.publish() : undefined;
    if (evaluates && isSettled && this.#decisions.end()) this.#steps = step;
    const last = step === this.#steps;
    const stop = this.#hooks.shouldStop() || this.#votes.shouldStop || !isSettled;
    if (evaluates) this.#evaluations.expect(step);
    const orders = {
      evaluate: evaluates && !stop,
      stop: stop || last,
      checkpoint: last || stop || step % options.checkpointEvery === 0,
      best,
    };
    await this.#votes.tell({ step, orders });
    return orders;
  }

  async #beforeCheckpoint(step: number, snapshot?: number): Promise<CheckpointOrders> {
    await this.#teacher?.flush();
    const ask = () => ({ best: this.#evaluations.publish(), evaluations: this.#decisions.state });
    const flush = () => this.#journal!.flushedOr(this.#hooks.stopped, [step, snapshot], ask);
    const { bytes, hash, held, asked } = await this.#evaluations.during(step, flush);
    const facts = {
      format: 2 as const,
      metricsBytes: bytes,
      metricsHash: hash,
      held,
      evaluations: asked.evaluations,
      recorded: this.#isRecorded(step),
      run: this.#file,
      steps: this.#prepared.schedule.steps,
      texts: await this.#texts,
    };
    return { facts, best: asked.best };
  }

  #afterCheckpoint(step: number): void {
    if (this.#isRecorded(step)) this.#record(this.#checkpointRecord(step));
  }

  /** A checkpoint made only because the run was stopped leaves no record: the resumed run's file has none either. */
  #isRecorded(step: number): boolean {
    const { options } = this.#prepared;
    return step === this.#steps || step % options.checkpointEvery === 0;
  }

  #checkpointRecord(step: number): CheckpointRecord {
    return { type: 'checkpoint', step, path: checkpointPath(runPaths(this.#prepared.out).checkpoints, step) };
  }

  /** Publishes what was trained so far. */
  async #save(step: number, finished: boolean): Promise<{ adapter?: string; model?: string }> {
    if (step === 0 && !finished) return {};
    const { out, artifact } = this.#prepared;
    const path = await this.#student.save(out);
    const made = artifact.kind === 'adapter' ? { adapter: path } : { model: path };
    if (finished) {
      await this.#flushEvaluations(step);
      const { ended, best } = this.#decisions;
      const kept = best && { best: { ...best, path: runPaths(out).best } };
      this.#record({ type: 'end', step, ...made, ...(ended && { early_stop: ended }), ...kept });
      await this.#journal!.flushed();
    }
    return made;
  }

  #record(record: MetricsRecord): void {
    this.#journal!.append(record);
    this.#hooks.emit(record);
  }
}
