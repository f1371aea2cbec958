import { writeSync } from 'node:fs';
import { type MessagePort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { InputError } from '../base/errors.js';
import { Beats } from './beats.js';
import { type Entered, enter } from './enter.js';
import { passGate } from './gate.js';
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
  readonly gate: Int32Array;
  readonly control: MessagePort;
  /** In the order that all ranks have them in. */
  readonly channels: readonly MessagePort[];
}

export type Order = { readonly leave: true } | { readonly abort: number } | { readonly waitAtMost: number };

export type Report =
  | { readonly found: string }
  | { readonly joined: Place }
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

const { launch, patience, bell, gate, control, channels } = workerData as ThreadData;
const parent = process.ppid;

try {
  const library = await findLibrary(launch);
  report({ found: library.version });
  const entered = passGate(gate, () => enter(launch, library, channels.length + 1));
  report({ joined: entered.place });
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
    if (began) meetings[at]! += 1;
    if (began?.doing !== undefined) {
      const came = [at, meetings[at]!, began.doing] as const;
      watch.came(rank, ...came);
      beats.send({ came });
    }
    if (ended) watch.done(at);
    return moved;
  };

  let heard = -1;
  let happened = performance.now();
  let awake = happened;
  let beaten = happened;
  for (let isLeaving = false; !isLeaving || !beats.isOver; ) {
    const rung = Atomics.load(bell, 0);
    const isRung = rung !== heard;
    heard = rung;
    if (isRung) for (const lane of lanes) lane.listen();
    const order = isRung ? (receiveMessageOnPort(control)?.message as Order | undefined) : undefined;
    if (order && 'abort' in order) mpi.abort(order.abort);
    if (order && 'waitAtMost' in order) watch.endAfter(order.waitAtMost);
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
    const state = stateOf(lanes);
    const { share, longestMs, awakeMs } = SLEEPS[state];
    if (now - Math.max(happened, awake) < awakeMs) continue;
    Atomics.wait(bell, 0, rung, Math.min(longestMs, Math.max(SHORTEST_SLEEP_MS, (now - happened) * share)));
    if (state === 'moving') awake = performance.now();
  }
  mpi.end();
}

function stateOf(lanes: readonly Lane[]): keyof typeof SLEEPS {
  if (lanes.some((lane) => lane.isMoving)) return 'moving';
  return lanes.some((lane) => lane.isOpen) ? 'waiting' : 'idle';
}

/** What started the ranks and was killed can't end them any more. */
function endWithParent(): void {
  if (process.ppid !== parent) process.kill(process.pid, 'SIGKILL');
}
