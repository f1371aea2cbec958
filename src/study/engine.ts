import { createHash } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { Threads } from '../actors/threads.js';
import { InputError } from '../base/errors.js';
import { unlessStopped } from '../base/stopping.js';
import { prepare } from '../prepare/prepare.js';
import { resolveOptions } from '../prepare/resolveOptions.js';
import type { Devices } from '../run/recovery.js';
import { agreeOn, firstOfMachine, fromFirst, together } from '../world/together.js';
import type { World } from '../world/world.js';
import { CellMaker, type Known } from './cellMaker.js';
import { cellRecord } from './cellRecord.js';
import type { StudyConfig } from './config.js';
import { devicesOf } from './devices.js';
import { Identities } from './identity.js';
import { needsFloats } from './measures/sharpness.js';
import { type Measures, Measuring } from './measuring.js';
import { type RankState, StudyMeter } from './meter.js';
import type { Job, StudyPlan } from './plan.js';
import type { CellRecord, StudyProgress, StudyRecord } from './records.js';
import { CellSharing, type EndedCell } from './sharing.js';
import { CellStore } from './store.js';
import { type AsTheyAre, explained, studyRecord, writeStudy } from './studyFile.js';
import { pruneCell } from './takenCell.js';

export interface StudyHooks {
  readonly cell: (record: CellRecord) => void;
  readonly progress: (progress: StudyProgress) => void;
  /** Told in a line what is not as it should be, and what was done about it. */
  readonly note: (text: string) => void;
  readonly shouldStop: () => boolean;
  readonly stopped: Promise<void>;
}

export interface StudySetting {
  readonly config: StudyConfig;
  /** Where `cells.json` goes. */
  readonly out: string;
  /** Where cells are. */
  readonly cells: string;
  /** The ranks that share the cells out. */
  readonly world: World;
}

export interface StudyEnding {
  readonly finished: boolean;
  readonly cells: number;
  readonly remaining: number;
}

/** What a rank tells of itself once a round. */
interface Told {
  readonly state: RankState;
  readonly notes: readonly string[];
}

/** Runs cells until none is left, or until it is stopped. */
export class StudyEngine {
  readonly #setting: StudySetting;
  readonly #plan: StudyPlan;
  readonly #hooks: StudyHooks;
  readonly #store: CellStore;
  readonly #devices: Devices;
  readonly #threads = new Threads();
  readonly #meter: StudyMeter;
  readonly #stop = new AbortController();
  readonly #stopped: Promise<void>;
  #identities!: Identities;
  #measuring!: Measuring;
  #maker!: CellMaker;
  #models: AsTheyAre = { base: {} };
  /** What it runs on, in words. */
  #device = '';
  /** Notes that rank 0 has not heard of. */
  readonly #untold: string[] = [];

  constructor(setting: StudySetting, plan: StudyPlan, hooks: StudyHooks) {
    this.#setting = setting;
    this.#plan = plan;
    this.#hooks = hooks;
    this.#store = new CellStore(setting.cells);
    this.#devices = devicesOf(plan, setting.world);
    this.#meter = new StudyMeter(plan, setting.world, hooks.progress);
    void hooks.stopped.then(() => this.#stop.abort());
    this.#stopped = new Promise((resolve) => {
      this.#stop.signal.addEventListener('abort', () => resolve(), { once: true });
    });
  }

  readonly #shouldStop = (): boolean => this.#hooks.shouldStop() || this.#stop.signal.aborted;

  /** Rank 0 tells those of all ranks. */
  readonly #note = (text: string): void => {
    if (this.#setting.world.rank === 0) this.#hooks.note(text);
    else this.#untold.push(text);
  };

  async run(): Promise<StudyEnding> {
    const { world } = this.#setting;
    try {
      await together(world, 'study: starting the device', () => this.#open());
      if (await this.#look()) await this.#runAll();
    } finally {
      await this.#threads.close();
      await this.#devices.close();
    }
    for (const note of this.#plan.notes) this.#note(note);
    const remaining = this.#plan.jobs.length;
    return { finished: remaining === 0, cells: this.#plan.records.length, remaining };
  }

  async #open(): Promise<void> {
    const hosts = await this.#devices.open(undefined);
    this.#device = hosts.description;
    this.#identities = new Identities(hosts.student.info.name);
    if (this.#setting.config.measures.sharpness && hosts.student.info.lossScaling) throw needsFloats();
  }

  /** Whatever can't be found or read is known before anything is written. @returns whether all ranks go on */
  async #look(): Promise<boolean> {
    const { world } = this.#setting;
    const { signal } = this.#stop;
    const doing = 'study: models and texts';
    const found = await firstOfMachine(world, doing, (stop) => this.#found(stop), signal);
    const all = await world.channel.gather(found !== undefined, doing);
    if (all.includes(false)) return false;
    await agreeOn(world, 'study: agreement', {
      device: this.#device,
      'models, texts and options (hash)': found!,
    });
    this.#models = await fromFirst(world, 'study: models as they are', (stop) => this.#begin(stop), signal);
    return true;
  }

  /** Hash of all cells that are known and of what they are measured by; undefined where the study is stopped. */
  #found(signal: AbortSignal): Promise<string | undefined> {
    const find = async () => {
      await this.#prepareCells();
      const hash = createHash('sha256').update(this.#measuring.definition);
      for (const job of this.#plan.jobs) hash.update((await this.#known(job)).key);
      return hash.digest('hex').slice(0, 16);
    };
    return unlessStopped(find, signal, 'find models and texts');
  }

  async #prepareCells(): Promise<void> {
    const { config, cells, world } = this.#setting;
    const { ofModel: identify, ofText } = this.#identities;
    const { kernels } = this.#devices.hosts.student.info;
    const { signal } = this.#stop;
    this.#measuring = await Measuring.of(config, ofText, {
      ...{ folder: cells, identify, kernels, note: this.#note, signal },
    });
    this.#maker = new CellMaker({
      ...{
        place: world,
        plan: this.#plan,
        store: this.#store,
        devices: this.#devices,
        threads: this.#threads,
      },
      ...{ meter: this.#meter, measuring: this.#measuring, wantsDynamics: config.measures.dynamics },
      ...{ know: (job) => this.#known(job), note: this.#note },
      ...{ shouldStop: this.#shouldStop, signal, stopped: this.#stopped },
    });
  }

  /** What comes first, on rank 0: the measures of the models as they are; none where the study is stopped. */
  async #begin(signal: AbortSignal): Promise<AsTheyAre> {
    const begin = async () => {
      const models = await this.#modelsAsTheyAre();
      mkdirSync(this.#setting.cells, { recursive: true });
      return models;
    };
    const models = await unlessStopped(begin, signal, 'measure the models').catch((error: Error) => {
      throw explained(error, this.#setting.out);
    });
    // Another rank may have been the one that was told.
    if (!models) this.#stop.abort();
    return models ?? { base: {} };
  }

  async #runAll(): Promise<void> {
    const { world } = this.#setting;
    const sharing = new CellSharing<Told>(world, this.#plan, {
      run: (job) => this.#runJob(job),
      claims: (job) => this.#claims(job),
      ended: (job, cell) => this.#take(job, cell),
      shouldStop: this.#shouldStop,
      stop: () => this.#stop.abort(),
      status: () => ({ state: this.#meter.state, notes: this.#untold.splice(0) }),
      onRound: (all) => {
        this.#meter.hear(all.map(({ state }) => state));
        if (world.rank === 0) for (const note of all.flatMap(({ notes }) => notes)) this.#note(note);
      },
    });
    this.#meter.count();
    const failure = await sharing.run();
    await together(world, 'study: its end', () => this.#end(failure));
  }

  #end(failure: Error | undefined): void {
    try {
      if (failure) throw failure;
      // What is there already may be more than was looked at before a stop.
      if (!this.#shouldStop()) this.#write();
    } catch (error) {
      throw explained(error as Error, this.#setting.out);
    }
  }

  async #runJob(job: Job): Promise<EndedCell | 'taken' | undefined> {
    this.#meter.begin(job);
    const known = await this.#known(job);
    const ended = await this.#maker.make(known);
    this.#meter.idle();
    if (!ended || ended === 'taken') return ended;
    const { options, key } = known;
    const fork = job.branch && this.#maker.forkOf(job.branch);
    return { record: cellRecord(job, { key, options, fork }, ended.result), isNew: ended.isNew };
  }

  /** Its own cell, and of a branch that can't begin yet the one that it begins in. */
  async #claims(job: Job): Promise<readonly string[]> {
    const { key } = await this.#known(job);
    return job.branch && !this.#maker.isThere(job.branch) ? [key, job.branch.from] : [key];
  }

  /** A cell has ended, here or on another rank. */
  async #take(job: Job, { record, isNew }: EndedCell): Promise<void> {
    this.#plan.add(job, record);
    this.#meter.count();
    this.#hooks.cell(record);
    if (this.#setting.world.rank > 0) return;
    for (const [cell, steps] of this.#plan.keptSteps(job.line)) await pruneCell(this.#store, cell, steps);
    if (isNew) this.#write();
  }

  async #known(job: Job): Promise<Known> {
    const { options } = resolveOptions(job.options);
    return { job, options, key: await this.#identities.keyOf(options, job.branch) };
  }

  /** All that was found so far. */
  get record(): StudyRecord {
    return studyRecord(this.#setting.config, this.#plan, this.#models, this.#device);
  }

  #write(): void {
    if (this.#setting.world.rank > 0) return;
    writeStudy(this.#setting.out, this.record);
  }

  /** Of the first line's student, and of the first teacher that there is. */
  async #modelsAsTheyAre(): Promise<AsTheyAre> {
    const found: { base?: Measures; teacher?: Measures } = {};
    for (const { options } of this.#plan.firstJobs) {
      const request = resolveOptions(options);
      if (found.base && (found.teacher || request.options.teacher === 'none')) continue;
      // A line that can't be run has cells that say so.
      const prepared = await prepare(request, this.#devices.hosts, () => {}).catch(unlessWrong);
      if (!prepared) continue;
      const { student, teacher } = prepared.models;
      found.base ??= await this.#measuring.ofModel(student, prepared);
      if (teacher !== undefined) found.teacher ??= await this.#measuring.ofModel(teacher, prepared);
    }
    return { base: {}, ...found };
  }
}

function unlessWrong(error: unknown): undefined {
  if (!(error instanceof InputError)) throw error;
}
