import { createHash } from 'node:crypto';
import { existsSync, mkdirSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { Threads } from '../actors/threads.js';
import { InputError, isDiskFull, RunError } from '../base/errors.js';
import { version } from '../base/version.js';
import { publishFile } from '../formats/checkpointFiles.js';
import { runPaths } from '../formats/runFolder.js';
import type { TrainOptions } from '../options/train.js';
import { type Preparation, prepare } from '../prepare/prepare.js';
import { type Given, resolveOptions } from '../prepare/resolveOptions.js';
import type { MetricsRecord } from '../records.js';
import { readRecords } from '../report/journal.js';
import type { Devices } from '../run/recovery.js';
import { runCell, secondsAt, type Workshop } from './cell.js';
import { commandOf, toldOptions } from './command.js';
import type { StudyConfig } from './config.js';
import { devicesOf } from './devices.js';
import { HeldOutTexts } from './heldOutText.js';
import { Identities } from './identity.js';
import type { Job, StudyPlan } from './plan.js';
import type { Branch, CellRecord, DynamicsPoint, StudyProgress, StudyRecord } from './records.js';
import { type CellResult, CellStore, type StoredCell } from './store.js';

export interface StudyHooks {
  readonly cell: (record: CellRecord) => void;
  readonly progress: (progress: StudyProgress) => void;
  /** Told in a line what is not as it should be, and what was done about it. */
  readonly note: (text: string) => void;
  readonly shouldStop: () => boolean;
  readonly stopped: Promise<void>;
}

/** Takes measures of a cell whose run has ended, while its checkpoints are there. */
export type MeasureCell = (cell: {
  readonly folder: string;
  readonly prepared: Preparation;
  readonly wanted: StudyConfig['measures'];
}) => Promise<{ readonly measures: Record<string, number>; readonly dynamics: DynamicsPoint[] }>;

export interface StudySetting {
  readonly config: StudyConfig;
  /** Where `cells.json` goes. */
  readonly out: string;
  /** Where cells are. */
  readonly cells: string;
  readonly measure?: MeasureCell | undefined;
}

export interface StudyEnding {
  readonly finished: boolean;
  readonly cells: number;
  readonly remaining: number;
}

/** Runs cells until none is left, or until it is stopped. */
export class StudyEngine {
  readonly #setting: StudySetting;
  readonly #plan: StudyPlan;
  readonly #hooks: StudyHooks;
  readonly #store: CellStore;
  readonly #devices: Devices;
  readonly #threads = new Threads();
  readonly #texts = new HeldOutTexts();
  readonly #measured: string;
  #identities!: Identities;
  /** Tokens and seconds of the cells that this process has run. */
  readonly #ran = { tokens: 0, seconds: 0 };
  #progress!: StudyProgress;

  constructor(setting: StudySetting, plan: StudyPlan, hooks: StudyHooks) {
    this.#setting = setting;
    this.#plan = plan;
    this.#hooks = hooks;
    this.#store = new CellStore(setting.cells);
    this.#measured = hashOf(setting.config.measures);
    this.#devices = devicesOf(plan);
  }

  async run(): Promise<StudyEnding> {
    const hosts = await this.#devices.open(undefined);
    this.#identities = new Identities(hosts.student.info.name, () => {});
    mkdirSync(this.#setting.cells, { recursive: true });
    try {
      let isNew = true;
      for (let [job] = this.#plan.jobs; job && !this.#hooks.shouldStop(); [job] = this.#plan.jobs) {
        this.#begin(job);
        const ended = await this.#cell(job);
        if (!ended) break;
        this.#plan.add(job, ended.record);
        this.#hooks.cell(ended.record);
        this.#prune(job);
        isNew = ended.isNew;
        if (isNew) this.#write();
      }
      this.#write();
    } catch (error) {
      throw this.#explained(error as Error);
    } finally {
      await this.#threads.close();
      await this.#devices.close();
    }
    const remaining = this.#plan.jobs.length;
    for (const note of this.#plan.notes) this.#hooks.note(note);
    return { finished: remaining === 0, cells: this.#plan.records.length, remaining };
  }

  /** A cell that is there, or is run now; undefined when it was stopped. */
  async #cell(job: Job): Promise<{ readonly record: CellRecord; readonly isNew: boolean } | undefined> {
    const { options } = resolveOptions(job.options);
    const key = await this.#identities.keyOf(options, job.branch);
    const given = job.branch ? { ...job.given, fork: this.#forkOf(job.branch) } : job.given;
    try {
      const stored = await this.#find(key);
      if (stored) return { record: this.#recordOf(job, key, options, stored.result), isNew: false };
      const result = await this.#run(job, key, given);
      return result && { record: this.#recordOf(job, key, options, result), isNew: true };
    } catch (error) {
      if (isDiskFull(error as Error)) throw error;
      await this.#startAnew();
      const { message } = error as Error;
      this.#hooks.note(`cell ${key} failed: ${message}`);
      return { record: this.#failed(job, key, options, message), isNew: true };
    }
  }

  /** A stored cell that is as it was written and has the measures that are wanted; another one is set aside. */
  async #find(key: string): Promise<StoredCell | undefined> {
    try {
      const stored = await this.#store.find(key);
      if (!stored || stored.measured === this.#measured) return stored;
      return await this.#remeasured(key, stored);
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      this.#hooks.note(`${error.message}; set aside as ${this.#store.setAside(key)}, the cell is run again`);
      return undefined;
    }
  }

  /** The same run with the measures that are wanted now; undefined where what it made was not kept. */
  async #remeasured(key: string, { result }: StoredCell): Promise<StoredCell | undefined> {
    const out = this.#store.pathOf(key);
    if (result.status === 'diverged') return { result, measured: this.#measured };
    if (!existsSync(runPaths(out).adapter)) {
      this.#store.reopen(key);
      return undefined;
    }
    const prepared = await prepare(resolveOptions({ out, resume: true }), this.#devices.hosts, () => {});
    const stored = { result: await this.#measure(key, { result, prepared }), measured: this.#measured };
    await this.#store.publish(key, stored);
    return stored;
  }

  async #run(job: Job, key: string, given: Given): Promise<CellResult | undefined> {
    const start = performance.now();
    const workshop: Workshop = {
      devices: this.#devices,
      threads: this.#threads,
      note: this.#hooks.note,
      hooks: { ...this.#hooks, emit: (record) => this.#follow(job, record) },
    };
    const ended = await runCell(this.#store, key, given, workshop);
    if (!ended) return undefined;
    const before = job.branch ? this.#secondsBefore(job.branch) : 0;
    const measured = await this.#measure(key, ended);
    const result = { ...measured, seconds: Number((measured.seconds - before).toFixed(3)) };
    await this.#store.publish(key, { result, measured: this.#measured });
    this.#ran.tokens += job.tokens;
    this.#ran.seconds += (performance.now() - start) / 1000;
    return result;
  }

  async #measure(
    key: string,
    { result, prepared }: { readonly result: CellResult; readonly prepared: Preparation },
  ): Promise<CellResult> {
    const { measure, config } = this.#setting;
    const folder = this.#store.pathOf(key);
    const { nll } = result.measures;
    const bits = nll === undefined ? {} : { bits_per_byte: await this.#texts.bitsPerByte(nll, prepared) };
    const taken =
      measure && result.status === 'done'
        ? await measure({ folder, prepared, wanted: config.measures })
        : { measures: {}, dynamics: [] };
    return {
      ...result,
      measures: { ...result.measures, ...bits, ...taken.measures },
      dynamics: taken.dynamics,
    };
  }

  #secondsBefore({ from, step }: Branch): number {
    return secondsAt([...readRecords(runPaths(this.#store.pathOf(from)).metrics)], step);
  }

  #recordOf(job: Job, key: string, options: TrainOptions, result: CellResult): CellRecord {
    const { axes, branch, line } = job;
    const { reason, status, ...rest } = result;
    const told = toldOptions(options);
    const started = branch ? { fork: this.#forkOf(branch), ...job.given } : told;
    return {
      ...{ key, axes, view: line.view },
      ...(branch && { branch }),
      ...{ status, ...(reason === undefined ? {} : { reason }), options: told },
      command: commandOf(started),
      ...rest,
    };
  }

  /** Kept in memory alone: the next start tries again. */
  #failed(job: Job, key: string, options: TrainOptions, reason: string): CellRecord {
    const nothing = { steps: 0, tokens: 0, seconds: 0, measures: {}, curve: [], training: [], dynamics: [] };
    const record = this.#recordOf(job, key, options, { status: 'done', ...nothing });
    return { ...record, status: 'failed', reason };
  }

  #forkOf({ from, step }: Branch): string {
    return `${this.#store.pathOf(from)}@${step}`;
  }

  /** After a failure nobody knows what threads and device are at. */
  async #startAnew(): Promise<void> {
    await this.#threads.close();
    await this.#devices.open(undefined);
  }

  /** Checkpoints are kept as long as something may begin in them. */
  #prune({ line }: Job): void {
    for (const [key, steps] of this.#plan.keptSteps(line)) this.#store.prune(key, steps);
  }

  /** What is told of a job's steps, but for their number. */
  #begin({ axes, options }: Job): void {
    const { records, jobs } = this.#plan;
    const sum = (tokens: readonly number[]) => tokens.reduce((a, b) => a + b, 0);
    const tokens = sum(records.map((record) => record.tokens));
    const left = sum(jobs.map((job) => job.tokens));
    const counts = { done: records.length, known: records.length + jobs.length };
    this.#progress = {
      ...counts,
      tokens,
      knownTokens: tokens + left,
      axes,
      step: 0,
      steps: Number(options.steps),
    };
    this.#hooks.progress(this.#progress);
  }

  #follow({ line }: Job, record: MetricsRecord): void {
    if (record.type !== 'step') return;
    const { tokens, knownTokens } = this.#progress;
    const { tokens: ran, seconds } = this.#ran;
    const left = knownTokens - tokens - record.step * line.batch * line.sequence;
    const secondsLeft = ran > 0 ? { secondsLeft: (seconds / ran) * left } : {};
    this.#hooks.progress({ ...this.#progress, step: record.step, ...secondsLeft });
  }

  #write(): void {
    const { config, out } = this.#setting;
    const cells = this.#plan.records;
    const record: StudyRecord = {
      ...{ name: config.name, version, machine: this.#machine(), config: config.written },
      ...{ axes: this.#plan.axes, base: baseOf(cells), cells },
      ...{
        remaining: this.#plan.jobs.length,
        notes: this.#plan.notes,
        seconds: Number(cells.reduce((sum, { seconds }) => sum + seconds, 0).toFixed(3)),
      },
    };
    publishFile(join(out, 'cells.json'), [new TextEncoder().encode(`${JSON.stringify(record)}\n`)]);
  }

  #machine(): string {
    return `${cpus()[0]?.model.trim() ?? process.arch}, ${this.#devices.hosts.description}`;
  }

  #explained(error: Error): Error {
    if (!isDiskFull(error)) return error;
    const { out } = this.#setting;
    return new RunError(
      `${out}: expected room on the disk, found none (${error.message.split('; ')[0]}); free some space, then give the same command again`,
      { cause: error },
    );
  }
}

/** The bare model's losses: those of a cell before its first step, where what is trained changes nothing yet. */
function baseOf(cells: readonly CellRecord[]): Record<string, number> {
  const bare = cells.find(({ options, curve }) => options.init === undefined && curve[0]?.step === 0);
  const nll = bare?.curve[0]?.nll;
  const { bits_per_byte: bits, nll: last } = bare?.measures ?? {};
  if (nll === undefined) return {};
  return { nll, ...(bits !== undefined && last !== undefined && { bits_per_byte: (bits * nll) / last }) };
}

const hashOf = (value: unknown): string =>
  createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 16);
