import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { Control } from './control.js';
import type {
  Answer,
  Connect,
  FollowerMessage,
  Range,
  Request,
  ThreadData,
  ThreadMessage,
} from './protocol.js';
import { Runner } from './runner.js';

const data = workerData as ThreadData;
const control = new Control(data.threads, data.spins, data.control);
const runner = new Runner(control, data.module, data.index);

/** A job that has waited this long goes before everything else, so that an evaluation never starves. */
const STARVING_MS = 1000;

interface Job {
  readonly port: MessagePort;
  readonly request: Extract<Request, { type: 'run' }>;
  readonly arrived: number;
  lastRun: number;
  /** Milliseconds that the threads worked for it. */
  worked: number;
  next: number;
}

/** Thread 0: takes requests from clients' ports and leads the others through one segment of a job at a time. */
class Leader {
  readonly #jobs: Job[] = [];
  /** Sessions that are to end once none of their programs is under way, with what answers the request for it. */
  readonly #ending = new Map<number, () => void>();
  #sessions = 0;
  #pumping = false;

  connect(port: MessagePort): void {
    port.on('message', (request: Request | Connect) => {
      if (request.type === 'connect') this.connect(request.port);
      else this.#answer(port, request);
    });
  }

  #answer(port: MessagePort, request: Request): void {
    try {
      this.#take(port, request);
    } catch (error) {
      fail(port, request.id, error);
    }
  }

  #take(port: MessagePort, request: Request): void {
    control.throwIfPoisoned();
    const reply = (answer: Answer) => port.postMessage(answer);
    if (request.type === 'run') {
      if (this.#ending.has(request.session)) throw sessionClosed();
      runner.session(request.session);
      const arrived = performance.now();
      this.#jobs.push({ port, request, arrived, lastRun: arrived, worked: 0, next: 0 });
      this.#schedule();
    } else if (request.type === 'open') {
      const session = this.#sessions++;
      runner.open(session, request.code);
      this.#tellFollowers({ type: 'open', session, code: request.code });
      reply({ type: 'opened', id: request.id, session });
    } else if (request.type === 'profile') {
      reply({ type: 'profile', id: request.id, profile: runner.profile(request.session) });
    } else {
      this.#ending.set(request.session, () => reply({ type: 'closed', id: request.id }));
      for (const job of this.#jobs.filter(
        ({ request: { session }, next }) => next === 0 && session === request.session,
      )) {
        this.#drop(job);
        fail(job.port, job.request.id, sessionClosed());
      }
      this.#endIfIdle(request.session);
    }
  }

  #tellFollowers(message: FollowerMessage): void {
    for (const port of data.ports) port.postMessage(message);
  }

  #schedule(): void {
    if (this.#pumping || this.#jobs.length === 0) return;
    this.#pumping = true;
    setImmediate(() => {
      this.#pumping = false;
      // A session that was closed takes its jobs along.
      if (this.#jobs.length > 0) this.#runSegment();
      this.#schedule();
    });
  }

  #choose(now: number): Job {
    const rank = (job: Job) => (now - job.lastRun > STARVING_MS ? -1 : job.request.priority);
    return this.#jobs.reduce((best, job) => (rank(job) < rank(best) ? job : best));
  }

  #runSegment(): void {
    const now = performance.now();
    const job = this.#choose(now);
    const { session, program, id, reads } = job.request;
    try {
      const { memory, programs } = runner.session(session).code;
      const { pauses } = programs[program]!;
      const to = pauses.find((pause) => pause > job.next) ?? job.next;
      const command = { session, program, from: job.next, to };
      control.give(command);
      runner.run(command);
      job.next = to;
      job.lastRun = performance.now();
      job.worked += job.lastRun - now;
      if (to < (pauses.at(-1) ?? 0)) return;
      const copies = reads.map((range) => copyOf(memory, range));
      const totalMs = job.lastRun - job.arrived;
      const stats = { totalMs, waitMs: totalMs - job.worked };
      job.port.postMessage({ type: 'done', id, stats, copies } satisfies Answer, copies);
    } catch (error) {
      // The other threads wait in the middle of a program: there is no way back for them.
      giveUp(error);
      fail(job.port, id, error);
    }
    this.#drop(job);
    this.#endIfIdle(session);
  }

  #drop(job: Job): void {
    this.#jobs.splice(this.#jobs.indexOf(job), 1);
  }

  #endIfIdle(session: number): void {
    const answer = this.#ending.get(session);
    if (!answer || this.#jobs.some(({ request }) => request.session === session)) return;
    this.#ending.delete(session);
    runner.close(session);
    this.#tellFollowers({ type: 'close', session });
    answer();
  }
}

const sessionClosed = (): Error => new Error('the session is closed');

function copyOf({ buffer }: WebAssembly.Memory, { address, bytes }: Range): ArrayBuffer {
  const copy = new Uint8Array(bytes);
  copy.set(new Uint8Array(buffer, address, bytes));
  return copy.buffer;
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

function fail(port: MessagePort, id: number, error: unknown): void {
  const message = messageOf(error);
  port.postMessage({ type: 'failed', id, message, dead: control.isPoisoned } satisfies Answer);
}

/** Stops all threads over an error of this one, and tells the pool of it, unless another thread was the first. */
function giveUp(error: unknown): void {
  if (control.poison(data.index))
    parentPort!.postMessage({ failed: messageOf(error) } satisfies ThreadMessage);
}

function lead(): void {
  const leader = new Leader();
  parentPort!.on('message', (message: Connect) => leader.connect(message.port));
}

/**
 * Other threads: obey commands until the pool ends the thread. An error is told, never thrown: when a thread is ended
 * while Node reports its exception, Node aborts the whole process ("ToLocalChecked Empty MaybeLocal").
 */
function follow(): void {
  const port = data.ports[0]!;
  try {
    for (let seen = 0; ; ) {
      const next = control.await(seen);
      seen = next.seen;
      for (let got = receiveMessageOnPort(port); got; got = receiveMessageOnPort(port)) {
        const message = got.message as FollowerMessage;
        if (message.type === 'open') runner.open(message.session, message.code);
        else runner.close(message.session);
      }
      runner.run(next.command);
    }
  } catch (error) {
    giveUp(error);
    // Keeps the thread until the pool ends it: its exit would be one more cause of the pool's failure.
    parentPort!.on('message', () => {});
  }
}

parentPort!.postMessage('ready' satisfies ThreadMessage);
if (data.index === 0) lead();
else follow();
