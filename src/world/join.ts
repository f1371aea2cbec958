import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import { InputError, RunError } from '../base/errors.js';
import { type Bell, channelAt, ring } from './channel.js';
import { holdGate, newGate } from './gate.js';
import { type Launch, launchOf } from './launch.js';
import type { ThreadData } from './mpiThread.js';
import type { Order, Report } from './service.js';
import type { Patience } from './watch.js';
import { type ActorName, ALONE, type World } from './world.js';

export interface JoinOptions extends Partial<Patience> {
  /** Told in one line who keeps the others waiting, and when they go on; rank 0 is, or rank 1 when that one is silent. */
  readonly onWaiting?: (line: string) => void;
}

const SAY_AFTER_MS = 10_000;
const END_AFTER_MS = 600_000;
/** MPI_Abort, where it is a rank that fails. */
const ABORT_MS = 2000;

/**
 * Comes among the processes that `mpirun` or `srun` started with this one, when all have come; once per process.
 * A process that was started alone loads nothing.
 * @throws InputError when the start is half set up, or no MPI library is found
 */
export async function joinWorld(options: JoinOptions = {}): Promise<World> {
  const launch = launchOf(process.env);
  return launch ? join(launch, options) : ALONE;
}

async function join(launch: Launch, { onWaiting = say, ...patience }: JoinOptions): Promise<World> {
  const bell = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
  // V8 has handlers of its own for faults in WebAssembly, which UCX, a library of some MPIs, would replace.
  process.env.UCX_HANDLE_ERRORS ??= 'none';
  const gate = newGate();
  const [control, run, student, evaluator] = [0, 0, 0, 0].map(() => new MessageChannel());
  const channels = [run!, student!, evaluator!].map(({ port1, port2 }) => {
    port1.postMessage({ bell } satisfies Bell);
    return { here: port2, there: port1 };
  });
  const there = channels.map((channel) => channel.there);
  const thread = new Worker(new URL('./mpiThread.js', import.meta.url), {
    name: 'mpi',
    workerData: {
      ...{ launch, bell, gate, control: control!.port1, channels: there },
      patience: { sayAfterMs: SAY_AFTER_MS, endAfterMs: END_AFTER_MS, ...patience },
    } satisfies ThreadData,
    transferList: [control!.port1, ...there],
  });
  const { port2: reports } = control!;
  reports.on('message', (report: Report) => {
    if ('waiting' in report) onWaiting(report.waiting);
  });
  await heard(reports, thread, (report) => ('ready' in report ? true : undefined));
  holdGate(gate);
  const joined = await heard(reports, thread, (report) => ('joined' in report ? report.joined : undefined));
  // An idle world keeps no process alive.
  reports.unref();
  thread.unref();
  const order = (order: Order) => {
    reports.postMessage(order);
    ring(bell);
  };
  const channel = channelAt(run!.port2);
  const ports: Record<ActorName, MessagePort> = { student: student!.port2, evaluator: evaluator!.port2 };
  return {
    ...joined,
    channel,
    port: (name) => ports[name],
    waitAtMost: (ms) => order({ waitAtMost: ms }),
    async leave() {
      await channel.gather(null, 'the end');
      thread.ref();
      order({ leave: true });
      await heard(reports, thread, (report) => ('left' in report ? true : undefined));
    },
    abort(code) {
      order({ abort: code });
      setTimeout(() => process.exit(code), ABORT_MS);
    },
  };
}

/** The first report for which `take` has a value. Fails with the thread. */
function heard<T>(reports: MessagePort, thread: Worker, take: (report: Report) => T | undefined): Promise<T> {
  return new Promise((resolve, reject) => {
    const fail = (found: string) => reject(new RunError(`expected MPI's thread to go on, found ${found}`));
    reports.on('message', (report: Report) => {
      const value = take(report);
      if (value !== undefined) resolve(value);
      if ('refused' in report) {
        reject(report.isInput ? new InputError(report.refused) : new RunError(report.refused));
      }
    });
    thread.on('error', ({ message }) => fail(message));
    thread.on('exit', (code) => fail(`that it exited with code ${code}`));
  });
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}
