import { atMost, ROUND_MS } from '../world/together.js';
import type { World } from '../world/world.js';
import type { Job, StudyPlan } from './plan.js';
import type { CellRecord } from './records.js';

/** A cell that has ended. */
export interface EndedCell {
  readonly record: CellRecord;
  /** Whether it was not there before. */
  readonly isNew: boolean;
}

/** What a rank does with cells. */
export interface CellHooks<S> {
  /** Runs a cell on this rank; `taken` where another study is at work on it, undefined where it was stopped. */
  readonly run: (job: Job) => Promise<EndedCell | 'taken' | undefined>;
  /** Keys of the cells that running a job changes: no two ranks have the same one at a time. Asked on rank 0 alone. */
  readonly claims: (job: Job) => Promise<readonly string[]>;
  /** On all ranks: one of them has run a cell. */
  readonly ended: (job: Job, cell: EndedCell) => Promise<void>;
  readonly shouldStop: () => boolean;
  /** On all ranks: one of them stops, because it was told to or has failed. */
  readonly stop: () => void;
  /** What a rank tells all others once a round. */
  readonly status: () => S;
  readonly onRound: (all: readonly S[]) => void;
}

interface Report<S> {
  readonly isOver: boolean;
  readonly ended: EndedCell | 'taken' | undefined;
  readonly stops: boolean;
  readonly status: S;
}

/**
 * Ranks that run the cells of a study, each one at a time. Twice a second, or when a cell ends, all hear what ended; so
 * all have the same plan, from which rank 0 hands jobs to those who have none. Only jobs that are to be run whatever the
 * running ones come to are handed out: the cells of a study don't depend on the number of ranks.
 */
export class CellSharing<S> {
  readonly #world: Pick<World, 'rank' | 'size' | 'channel'>;
  readonly #plan: StudyPlan;
  readonly #hooks: CellHooks<S>;
  /** The job of each rank. */
  readonly #jobs: (Job | undefined)[];
  /** Keys that each rank's job claims, known to rank 0. */
  readonly #claims: (readonly string[])[];
  /** This rank's job: settles when it is over. */
  #own: Promise<void> = Promise.resolve();
  #isOver = false;
  #ended: EndedCell | 'taken' | undefined;
  /** How often jobs were found taken: others go before them. */
  readonly #taken = new Map<string, number>();
  /** Whether this rank wants all to stop, and whether all know that somebody does. */
  #wantsStop = false;
  #stops = false;
  #failure: Error | undefined;

  constructor(world: Pick<World, 'rank' | 'size' | 'channel'>, plan: StudyPlan, hooks: CellHooks<S>) {
    this.#world = world;
    this.#plan = plan;
    this.#hooks = hooks;
    this.#jobs = Array.from({ length: world.size }, () => undefined);
    this.#claims = this.#jobs.map(() => []);
  }

  /** Until nothing is left to run, or one of the ranks stops. @returns why this rank can't go on, where it can't */
  async run(): Promise<Error | undefined> {
    for (;;) {
      if (!this.#stops && this.#jobs.includes(undefined)) await this.#handOut();
      if (this.#jobs.every((job) => job === undefined)) return this.#failure;
      if (this.#jobs[this.#world.rank]) await atMost(ROUND_MS, this.#own);
      await this.#meet();
    }
  }

  async #handOut(): Promise<void> {
    const { rank, channel } = this.#world;
    const own = rank === 0 ? await this.#orders().catch((error: Error) => this.#fail(error)) : undefined;
    const [orders] = await channel.gather(own, 'study: handing out cells');
    for (const [to, id] of orders ?? []) {
      const job = this.#plan.jobs.find((known) => known.id === id)!;
      this.#jobs[to] = job;
      if (to === rank) this.#begin(job);
    }
  }

  /** Jobs for ranks that have none. */
  async #orders(): Promise<[rank: number, id: string][]> {
    const orders: [number, string][] = [];
    const free = [...this.#jobs.keys()].filter((rank) => !this.#jobs[rank]);
    const taken = ({ id }: Job) => this.#taken.get(id) ?? 0;
    // Of those that were found as often, the order of the plan: sorting is stable.
    for (const job of this.#plan.sureJobs.sort((a, b) => taken(a) - taken(b))) {
      const to = free[0];
      if (to === undefined || this.#wantsStop || this.#hooks.shouldStop()) break;
      if (this.#jobs.some((running) => running?.id === job.id)) continue;
      const claims = await this.#hooks.claims(job);
      const claimed = new Set(this.#claims.flat());
      if ([...claims, ...(job.branch ? [job.branch.from] : [])].some((key) => claimed.has(key))) continue;
      this.#claims[to] = claims;
      orders.push([to, job.id]);
      free.shift();
    }
    return orders;
  }

  #begin(job: Job): void {
    this.#isOver = false;
    this.#own = this.#hooks
      .run(job)
      .then((ended) => {
        this.#ended = ended;
        // What was stopped is not handed out again.
        if (!ended) this.#wantsStop = true;
      })
      .catch((error: Error) => this.#fail(error))
      .finally(() => {
        this.#isOver = true;
      });
  }

  /** All hear what ended. */
  async #meet(): Promise<void> {
    const stops = this.#wantsStop || this.#hooks.shouldStop();
    const report = { isOver: this.#isOver, ended: this.#ended, stops, status: this.#hooks.status() };
    if (this.#isOver) this.#ended = undefined;
    const all: readonly Report<S>[] = await this.#world.channel.gather(report, 'study: cells that ended');
    for (const [rank, { isOver, ended }] of all.entries()) {
      const job = this.#jobs[rank];
      if (!job || !isOver) continue;
      this.#jobs[rank] = undefined;
      this.#claims[rank] = [];
      if (ended === 'taken') this.#taken.set(job.id, (this.#taken.get(job.id) ?? 0) + 1);
      else if (ended) await this.#hooks.ended(job, ended).catch((error: Error) => this.#fail(error));
    }
    this.#hooks.onRound(all.map(({ status }) => status));
    if (!all.some((one) => one.stops)) return;
    this.#stops = true;
    this.#hooks.stop();
  }

  #fail(error: Error): undefined {
    this.#failure = error;
    this.#wantsStop = true;
  }
}
