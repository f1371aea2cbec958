import { once } from 'node:events';
import { parentPort, Worker } from 'node:worker_threads';
import { InputError, RunError } from './errors.js';
import { onStop } from './stopping.js';

/** The answer to a job. */
type Answer<R> =
  | { readonly found: R }
  | { readonly failed: { readonly name: string; readonly message: string } };

/**
 * In a thread that `shareOut` starts: does the jobs that it is given.
 * @param moved buffers of a result that the thread has no more need of
 */
export function serveJobs<J, R>(
  work: (job: J) => Promise<R>,
  moved: (result: R) => ArrayBufferLike[] = () => [],
): void {
  parentPort!.on('message', async (job: J) => {
    try {
      const found = await work(job);
      parentPort!.postMessage({ found } satisfies Answer<R>, moved(found) as ArrayBuffer[]);
    } catch (error) {
      const { name, message } = error as Error;
      parentPort!.postMessage({ failed: { name, message } } satisfies Answer<R>);
    }
  });
}

export interface JobScript<J, R> {
  /** Of the threads. */
  readonly url: URL;
  readonly name: string;
  /** What a job is for, in an error. */
  readonly what: (job: J) => string;
  /** Told of each result as it comes; `done` jobs are done. */
  readonly found?: (result: R, done: number) => void;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Shares jobs out to threads, the first ones first; every thread does one after the other.
 * @returns results in the order of the jobs
 * @throws InputError that a job threw, RunError when it failed otherwise or its thread died, and when the signal says stop
 */
export async function shareOut<J, R>(
  jobs: readonly J[],
  threads: number,
  { url, name, what, found = () => {}, signal }: JobScript<J, R>,
): Promise<R[]> {
  const results: R[] = [];
  const waiting = [...jobs.entries()];
  let done = 0;
  const work = async () => {
    const thread = new JobThread<J, R>(url, name, signal);
    try {
      for (let next = waiting.shift(); next; next = waiting.shift()) {
        const [index, job] = next;
        const result = await thread.do(job, what(job));
        results[index] = result;
        done += 1;
        found(result, done);
      }
    } finally {
      // Where one fails, the others have nothing more to do.
      waiting.length = 0;
      await thread.close();
    }
  };
  await Promise.all(Array.from({ length: Math.min(threads, jobs.length) }, work));
  return results;
}

class JobThread<J, R> {
  readonly #worker: Worker;
  readonly #died: Promise<never>;

  constructor(url: URL, name: string, signal: AbortSignal | undefined) {
    this.#worker = new Worker(url, { name });
    this.#died = once(this.#worker, 'exit').then(([code]) => {
      throw new Error(signal?.aborted ? 'stopped' : `its thread exited with code ${code}`);
    });
    this.#died.catch(() => {});
    const stop = () => void this.#worker.terminate();
    this.#worker.once('exit', onStop(signal, stop));
    if (signal?.aborted) stop();
  }

  async do(job: J, what: string): Promise<R> {
    const answer = once(this.#worker, 'message') as Promise<[Answer<R>]>;
    this.#worker.postMessage(job);
    try {
      const [given] = await Promise.race([answer, this.#died]);
      if ('found' in given) return given.found;
      const { name, message } = given.failed;
      throw name === 'InputError' ? new InputError(message) : new Error(message);
    } catch (error) {
      if (error instanceof InputError) throw error;
      throw new RunError(`${what}: ${(error as Error).message}`);
    }
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }
}
