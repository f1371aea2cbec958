import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import { InputError } from '../../base/errors.js';
import { compileWasm } from '../../wasm/module.js';
import { Control } from './control.js';
import type { Connect, ThreadData, ThreadMessage } from './protocol.js';

/** Looks at a barrier before a thread sleeps: about 50 us. */
const SPINS = 20_000;

/** Threads that the cores may have to share: each takes 8 MB, and all wait for the slowest. On any machine, a few. */
const MOST_PER_CORE = 4;
const MOST_ANYWHERE = 16;

function checkThreads(threads: number): void {
  const cores = availableParallelism();
  const most = Math.max(MOST_ANYWHERE, MOST_PER_CORE * cores);
  if (threads <= most) return;
  throw new InputError(
    `--threads: expected at most ${most} on this machine of ${cores} cores, found ${threads}; leave it out for one per core`,
  );
}

/**
 * The compute threads of a process. All sessions of all actors run here, one program segment at a time, so that
 * cores are never fought over. A thread that dies takes the pool with it: `failed` resolves and requests reject.
 */
export class Pool {
  readonly threads: number;
  /** Resolves with the cause when a thread has died; never rejects. */
  readonly failed: Promise<Error>;
  readonly #workers: readonly Worker[];
  #closing = false;

  private constructor(workers: readonly Worker[], control: Control) {
    this.threads = workers.length;
    this.#workers = workers;
    this.failed = new Promise((resolve) => {
      workers.forEach((worker, index) => {
        const died = (cause: string) => {
          if (this.#closing) return;
          control.poison(index);
          resolve(new Error(`compute thread ${index} ${cause}`));
        };
        worker.on('message', (message: ThreadMessage) => {
          if (message !== 'ready') died(`failed: ${message.failed}`);
        });
        worker.on('error', (error) => died(`failed: ${error.message}`));
        worker.on('exit', (code) => died(`exited with code ${code}`));
      });
    });
  }

  /** @throws InputError when the machine has not nearly as many cores */
  static async start(threads: number): Promise<Pool> {
    checkThreads(threads);
    const spins = threads > availableParallelism() ? 100 : SPINS;
    const control = new Control(threads, spins);
    const module = compileWasm('kernels');
    const channels = Array.from({ length: threads - 1 }, () => new MessageChannel());
    const workers = Array.from({ length: threads }, (_, index) => {
      const ports = index === 0 ? channels.map((channel) => channel.port1) : [channels[index - 1]!.port2];
      const data: ThreadData = { index, threads, spins, control: control.buffer, module, ports };
      return new Worker(new URL('./thread.js', import.meta.url), {
        name: `compute ${index}`,
        workerData: data,
        transferList: ports,
      });
    });
    const pool = new Pool(workers, control);
    const ready = Promise.all(workers.map((worker) => once(worker, 'message')));
    const failure = pool.failed.then((error) => Promise.reject(error));
    failure.catch(() => {});
    try {
      await Promise.race([ready, failure]);
    } catch (error) {
      await pool.close();
      throw error;
    }
    return pool;
  }

  /** A new port to the pool, to keep or to transfer to the thread that opens a device on it. */
  connect(): MessagePort {
    const { port1, port2 } = new MessageChannel();
    const message: Connect = { type: 'connect', port: port2 };
    this.#workers[0]!.postMessage(message, [port2]);
    return port1;
  }

  async close(): Promise<void> {
    this.#closing = true;
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }
}
