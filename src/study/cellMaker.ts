import { existsSync } from 'node:fs';
import type { Threads } from '../actors/threads.js';
import { InputError, isDiskFull } from '../base/errors.js';
import { untilStopped } from '../base/stopping.js';
import { FolderInUse } from '../formats/lock.js';
import { runPaths } from '../formats/runFolder.js';
import type { TrainOptions } from '../options/train.js';
import { type Preparation, prepare } from '../prepare/prepare.js';
import { resolveOptions } from '../prepare/resolveOptions.js';
import { readRecords } from '../report/journal.js';
import type { Devices } from '../run/recovery.js';
import { localShare } from '../world/localShare.js';
import { atMost, ROUND_MS } from '../world/together.js';
import type { Place } from '../world/world.js';
import { runCell, secondsAt } from './cell.js';
import { failure } from './cellRecord.js';
import { cellDynamics } from './dynamics.js';
import type { Measuring } from './measuring.js';
import type { StudyMeter } from './meter.js';
import type { Job, StudyPlan } from './plan.js';
import type { Branch } from './records.js';
import type { CellResult, CellStore, StoredCell } from './store.js';
import { TakenCell } from './takenCell.js';

/** A job, by what its key is made of. */
export interface Known {
  readonly job: Job;
  readonly options: TrainOptions;
  readonly key: string;
}

/** What a cell has come to. */
export interface Came {
  readonly result: CellResult | ReturnType<typeof failure>;
  /** Whether it was not there before. */
  readonly isNew: boolean;
}

export interface CellSetting {
  readonly place: Pick<Place, 'localRank' | 'localSize'>;
  readonly plan: StudyPlan;
  readonly store: CellStore;
  readonly devices: Devices;
  readonly threads: Threads;
  readonly meter: StudyMeter;
  readonly measuring: Measuring;
  readonly wantsDynamics: boolean;
  readonly know: (job: Job) => Promise<Known>;
  /** Told in a line what is not as it should be, and what was done about it. */
  readonly note: (text: string) => void;
  readonly shouldStop: () => boolean;
  readonly signal: AbortSignal;
  readonly stopped: Promise<void>;
}

/** Makes the cells of a rank, one at a time. */
export class CellMaker {
  readonly #setting: CellSetting;
  /** Keys of cells that another study was found at work on. */
  readonly #taken = new Set<string>();

  constructor(setting: CellSetting) {
    this.#setting = setting;
  }

  /** What a cell came to that is there or is run now; `taken` where another study has it, undefined when it was stopped. */
  async make(known: Known): Promise<Came | 'taken' | undefined> {
    const { store, shouldStop } = this.#setting;
    const { key } = known;
    try {
      // One that is as it is wanted is only read, whoever has it.
      const stored = await store.find(key).catch(unlessWrong);
      if (stored && this.#isAsWanted(stored)) return { result: stored.result, isNew: false };
      return await TakenCell.during(store, key, (cell) => this.#made(known, cell));
    } catch (error) {
      if (shouldStop()) return undefined;
      if (error instanceof FolderInUse) return this.#leave(known);
      if (isDiskFull(error as Error)) throw error;
      await this.#startAnew();
      // Kept in memory alone: the next start tries again.
      return { result: failure((error as Error).message), isNew: true };
    }
  }

  /** For a later time: the study that has it may have ended it by then. */
  async #leave({ key, job }: Known): Promise<'taken'> {
    const { store, note, stopped } = this.#setting;
    if (!this.#taken.has(key)) {
      const where = job.branch ? 'it, or on the cell that it begins in' : 'it';
      note(`${store.pathOf(key)}: another study is at work on ${where}; it is left for later`);
    }
    this.#taken.add(key);
    await atMost(ROUND_MS, stopped);
    return 'taken';
  }

  async #made(known: Known, cell: TakenCell): Promise<Came | undefined> {
    const stored = await this.#found(known, cell);
    if (stored) return { result: stored.result, isNew: false };
    const result = await this.#run(known, cell);
    return result && { result, isNew: true };
  }

  /** A stored cell that is as it was written, with the measures that are wanted; another one is set aside. */
  async #found(known: Known, cell: TakenCell): Promise<StoredCell | undefined> {
    const { store, note } = this.#setting;
    let stored: StoredCell | undefined;
    try {
      stored = await store.find(known.key);
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      note(`${error.message}; set aside as ${await cell.setAside()}, the cell is run again`);
    }
    return !stored || this.#isAsWanted(stored) ? stored : this.#remeasured(known, stored);
  }

  /** Of one that has diverged there is nothing to measure. */
  #isAsWanted({ measured, result }: StoredCell): boolean {
    return measured === this.#setting.measuring.definition || result.status === 'diverged';
  }

  /** The same run with the measures that are wanted now; undefined where what it made was not kept. */
  async #remeasured(known: Known, { result }: StoredCell): Promise<StoredCell | undefined> {
    const { store, devices, signal } = this.#setting;
    const { job, key } = known;
    const out = store.pathOf(key);
    if (!existsSync(runPaths(out).adapter)) {
      store.reopen(key);
      return undefined;
    }
    // Not as the run goes on, which may have been told its paths elsewhere.
    const request = resolveOptions({ ...job.options, threads: this.#threadsFor(known), out });
    const look = () => prepare(request, devices.hosts, () => {});
    const prepared = await untilStopped(look, signal, 'measure a cell');
    const fork = job.branch && this.forkOf(job.branch);
    return this.#publish(key, result, { ...prepared, options: { ...prepared.options, fork } });
  }

  async #run(known: Known, cell: TakenCell): Promise<CellResult | undefined> {
    const start = performance.now();
    const { devices, threads, note, shouldStop, stopped, meter } = this.#setting;
    const { job, key, options } = known;
    const { branch } = job;
    if (branch && !(await this.#canBegin(branch))) return undefined;
    const fork = branch && { fork: this.forkOf(branch) };
    const given = { ...job.given, threads: this.#threadsFor(known), ...fork };
    const emit: Parameters<typeof runCell>[2]['hooks']['emit'] = (record) => meter.follow(job, record);
    const hooks = { shouldStop, stopped, emit };
    const ended = await runCell(cell, { given, options }, { devices, threads, note, hooks }).catch(
      async (error: Error) => {
        if (!branch || this.isThere(branch)) throw error;
        await this.#startAnew();
        throw new FolderInUse(error.message);
      },
    );
    if (!ended) return undefined;
    const seconds = Number((ended.result.seconds - (branch ? this.#secondsBefore(branch) : 0)).toFixed(3));
    const { result } = await this.#publish(key, { ...ended.result, seconds }, ended.prepared);
    if (result.status === 'diverged') await this.#startAnew();
    meter.ran(job, (performance.now() - start) / 1000);
    return result;
  }

  #threadsFor({ options }: Known): number | undefined {
    return localShare(this.#setting.place, options.threads).threads;
  }

  async #publish(key: string, result: CellResult, prepared: Preparation): Promise<StoredCell> {
    const { store, measuring, wantsDynamics, note, signal } = this.#setting;
    const { nll } = result.measures;
    const kept = nll === undefined ? {} : { nll };
    const isDone = result.status === 'done';
    const taken = isDone ? await measuring.ofCell(store.pathOf(key), nll, prepared) : {};
    const dynamics =
      isDone && wantsDynamics ? await cellDynamics(result.dynamics, prepared, { note, signal }) : [];
    const stored = {
      result: { ...result, measures: { ...kept, ...taken }, dynamics },
      measured: measuring.definition,
    };
    await store.publish(key, stored);
    return stored;
  }

  /**
   * Whether a branch can begin: another study may have had no need of the checkpoint, or others in its place; then the
   * cell is run once more, from its start.
   */
  async #canBegin(branch: Branch): Promise<boolean> {
    if (this.isThere(branch)) return true;
    const { store, plan, know } = this.#setting;
    const { from, step } = branch;
    const { steps } = plan.records.find(({ key }) => key === from)!;
    if (steps < step) {
      throw new InputError(
        `branches: expected a cell that comes to step ${step}, found one that ended after ${steps}; give another at`,
      );
    }
    return TakenCell.during(store, from, async (cell) => {
      store.reopen(from);
      store.prune(from, []);
      return (await this.#run(await know(plan.jobOf(from)), cell)) !== undefined;
    });
  }

  /** Whether the checkpoint is there that a branch begins in. */
  isThere({ from, step }: Branch): boolean {
    return this.#setting.store.hasCheckpoint(from, step);
  }

  /** `RUN@STEP` */
  forkOf({ from, step }: Branch): string {
    return `${this.#setting.store.pathOf(from)}@${step}`;
  }

  #secondsBefore({ from, step }: Branch): number {
    return secondsAt(readRecords(runPaths(this.#setting.store.pathOf(from)).metrics), step);
  }

  /** After a failure nobody knows what threads and device are at. */
  async #startAnew(): Promise<void> {
    const { threads, devices } = this.#setting;
    await threads.close();
    await devices.open(undefined);
  }
}

function unlessWrong(error: unknown): undefined {
  if (!(error instanceof InputError)) throw error;
}
