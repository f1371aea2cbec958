import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { RunError } from '../base/errors.js';
import { Beats } from './beats.js';
import type { Entered } from './enter.js';
import { Lane } from './lane.js';
import type { Mpi } from './mpi.js';
import { BEAT_MS, type Patience, Watch } from './watch.js';
import type { Place } from './world.js';

export type Order = { readonly leave: true } | { readonly abort: number } | { readonly waitAtMost: number };

export type Report =
  | { readonly ready: true }
  | { readonly joined: Place & { readonly library: string } }
  | { readonly refused: string; readonly isInput: boolean }
  | { readonly waiting: string }
  | { readonly left: true };

/**
 * How to sleep while nothing happens. `share` of the time since something has: what is waited for is seen that much
 * later at most. `awakeMs`: how long it looks again and again before it sleeps for the first time; where data move,
 * before every sleep, as some libraries move a few KB a look.
 */
const SLEEPS = {
  idle: { share: 0.05, longestMs: 100, awakeMs: 0.1 },
  waiting: { share: 0.05, longestMs: 2, awakeMs: 0.1 },
  moving: { share: 0.001, longestMs: 4, awakeMs: 0.2 },
};
const SHORTEST_SLEEP_MS = 0.05;

interface Ports {
  readonly bell: Int32Array;
  readonly control: MessagePort;
  readonly channels: readonly MessagePort[];
  readonly patience: Patience;
}

/**
 * Serves the channels of a rank. It never waits inside of MPI: what channels ask for begins at once, is looked after in
 * turn, and between the looks the thread sleeps, the longer the longer nothing has happened.
 */
export class Service {
  readonly #mpi: Mpi;
  readonly #rank: number;
  readonly #bell: Int32Array;
  readonly #control: MessagePort;
  readonly #lanes: readonly Lane[];
  readonly #meetings: number[];
  readonly #watch: Watch;
  readonly #beats: Beats;
  readonly #parent = process.ppid;
  #rung = -1;
  /** When something last happened, this thread last got up, and it last beat. */
  #happened = performance.now();
  #up = this.#happened;
  #beat = this.#happened;
  #isLeaving = false;

  /** @param entered with a comm for each channel and one for beats */
  constructor({ mpi, comms, place }: Entered, { bell, control, channels, patience }: Ports) {
    const { rank, size } = place;
    this.#mpi = mpi;
    this.#rank = rank;
    this.#bell = bell;
    this.#control = control;
    this.#lanes = channels.map((port, at) => new Lane(port, { mpi, comm: comms[at]!, rank, size }));
    this.#meetings = channels.map(() => 0);
    this.#watch = new Watch(place, channels.length, patience, this.#happened);
    this.#beats = new Beats(mpi, comms[channels.length]!, rank, size, (beat) => {
      this.#watch.heard(beat.rank);
      if (beat.came) this.#watch.came(beat.rank, ...beat.came);
    });
  }

  /**
   * Until the world is left.
   * @throws RunError when others have been waited for too long, or MPI fails
   */
  run(): void {
    while (!this.#isLeaving || !this.#beats.isOver) {
      const rung = Atomics.load(this.#bell, 0);
      const now = performance.now();
      if (rung !== this.#rung) {
        this.#rung = rung;
        this.#happened = now;
        this.#listen();
      }
      this.#beats.look();
      for (const [at, lane] of this.#lanes.entries()) this.#look(lane, at, now);
      if (now - this.#beat >= BEAT_MS) this.#tick(now);
      this.#rest(now);
    }
    this.#mpi.end();
  }

  #listen(): void {
    for (const lane of this.#lanes) lane.listen();
    for (let next = receiveMessageOnPort(this.#control); next; next = receiveMessageOnPort(this.#control)) {
      const order = next.message as Order;
      if ('abort' in order) this.#mpi.abort(order.abort);
      else if ('waitAtMost' in order) this.#watch.endAfter(order.waitAtMost);
      else this.#leave();
    }
  }

  #leave(): void {
    this.#isLeaving = true;
    this.#beats.send({ isLast: true });
  }

  #look(lane: Lane, at: number, now: number): void {
    const { began, ended, moved } = lane.look();
    if (moved) this.#happened = now;
    if (began) this.#meetings[at]! += 1;
    if (began?.doing !== undefined) {
      const came = [at, this.#meetings[at]!, began.doing] as const;
      this.#watch.came(this.#rank, ...came);
      this.#beats.send({ came });
    }
    const word = ended ? this.#watch.done(at) : undefined;
    if (word) this.#report({ waiting: word });
  }

  #tick(now: number): void {
    this.#beat = now;
    // What started the ranks and was killed can't end them any more.
    if (process.ppid !== this.#parent) process.kill(process.pid, 'SIGKILL');
    if (!this.#isLeaving) this.#beats.send({});
    for (const word of this.#watch.look(now)) {
      if ('ending' in word) throw new RunError(word.ending);
      this.#report(word);
    }
  }

  #rest(now: number): void {
    const state = this.#state();
    const { share, longestMs, awakeMs } = SLEEPS[state];
    if (now - Math.max(this.#happened, this.#up) < awakeMs) return;
    const sleep = Math.max(SHORTEST_SLEEP_MS, (now - this.#happened) * share);
    Atomics.wait(this.#bell, 0, this.#rung, Math.min(longestMs, sleep));
    if (state === 'moving') this.#up = performance.now();
  }

  #state(): keyof typeof SLEEPS {
    if (this.#lanes.some((lane) => lane.isMoving)) return 'moving';
    return this.#lanes.some((lane) => lane.isOpen) ? 'waiting' : 'idle';
  }

  #report(message: Report): void {
    this.#control.postMessage(message);
  }
}
