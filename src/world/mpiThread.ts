import { writeSync } from 'node:fs';
import { type MessagePort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { InputError } from '../base/errors.js';
import { Beats } from './beats.js';
import { type Entered, enter } from './enter.js';
import { Lane } from './lane.js';
import type { Launch } from './launch.js';
import { findLibrary } from './library.js';
import { BEAT_MS, type Patience, Watch } from './watch.js';
import type { Place } from './world.js';

/**
 * The one thread of a process that calls MPI. It never waits inside of MPI: what channels ask for begins at once, is
 * looked after in turn, and between the looks the thread sleeps, the longer the longer nothing has happened.
 */

export interface ThreadData {
  readonly launch: Launch;
  readonly patience: Patience;
  /** Rung for every message. */
  readonly bell: Int32Array;
  readonly control: MessagePort;
  /** In the order that all ranks have them in. */
  readonly channels: readonly MessagePort[];
}

export type Order = { readonly leave: true } | { readonly abort: number };

export type Report =
  | { readonly joined: Place; readonly library: string }
  | { readonly refused: string; readonly isInput: boolean }
  | { readonly waiting: string }
  | { readonly left: true };

const SPIN_MS = 0.1;
const SHORTEST_SLEEP_MS = 0.05;
const LONGEST_SLEEP_MS = { idle: 100, open: 1 };
/** Of the time that nothing has happened: what is waited for is seen that much later at most. */
const SLEEP_SHARE = { waiting: 0.05, moving: 0.001 };

const { launch, patience, bell, control, channels } = workerData as ThreadData;
const parent = process.ppid;

try {
  const library = await findLibrary(launch);
  const entered = enter(launch, library, channels.length + 1);
  report({ joined: entered.place, library: library.version });
  serve(entered);
  report({ left: true });
} catch (error) {
  report({ refused: (error as Error).message, isInput: error instanceof InputError });
}

function report(message: Report): void {
  control.postMessage(message);
}

/** Until the world is left. */
function serve({ mpi, comms, place }: Entered): void {
  const { rank, size } = place;
  const watch = new Watch(place, channels.length, patience, performance.now());
  const beats = new Beats(mpi, comms[channels.length]!, rank, size, (beat) => {
    watch.heard(beat.rank);
    if (beat.came) watch.came(beat.rank, ...beat.came);
  });
  const lanes = channels.map((port, at) => new Lane(port, { mpi, comm: comms[at]!, rank, size }));
  const meetings = lanes.map(() => 0);

  /** @returns whether something happened */
  const look = (lane: Lane, at: number): boolean => {
    const { began, ended, moved } = lane.look();
    if (began !== undefined) {
      meetings[at]! += 1;
      const came = [at, meetings[at]!, began] as const;
      watch.came(rank, ...came);
      beats.send({ came });
    }
    if (ended) watch.done(at);
    return moved;
  };

  let happened = performance.now();
  let beaten = happened;
  for (let isLeaving = false; !isLeaving || !beats.isOver; ) {
    const rung = Atomics.load(bell, 0);
    const order = receiveMessageOnPort(control)?.message as Order | undefined;
    if (order && 'abort' in order) mpi.abort(order.abort);
    if (order && 'leave' in order) {
      isLeaving = true;
      beats.send({ isLast: true });
    }
    beats.look();
    const now = performance.now();
    if (lanes.map(look).includes(true) || order) happened = now;
    if (now - beaten >= BEAT_MS) {
      beaten = now;
      if (!isLeaving) beats.send({});
      endWithParent();
      for (const word of watch.look(now)) {
        if ('waiting' in word) report(word);
        else {
          writeSync(process.stderr.fd, `error: ${word.ending}\n`);
          mpi.abort(1);
        }
      }
    }
    const quiet = now - happened;
    if (quiet >= SPIN_MS) Atomics.wait(bell, 0, rung, sleepFor(quiet, lanes));
  }
  mpi.end();
}

function sleepFor(quiet: number, lanes: readonly Lane[]): number {
  const isOpen = lanes.some((lane) => lane.isOpen);
  const share = lanes.some((lane) => lane.isMoving) ? SLEEP_SHARE.moving : SLEEP_SHARE.waiting;
  const longest = isOpen ? LONGEST_SLEEP_MS.open : LONGEST_SLEEP_MS.idle;
  return Math.min(longest, Math.max(SHORTEST_SLEEP_MS, quiet * share));
}

/** What started the ranks and was killed can't end them any more. */
function endWithParent(): void {
  if (process.ppid !== parent) process.kill(process.pid, 'SIGKILL');
}
