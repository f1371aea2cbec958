import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { InputError, RunError } from '../base/errors.js';
import { type LoraOptions, loraRank, loraScale, loraShapes } from '../model/lora.js';
import type { ModelFiles } from '../model/weights.js';
import type { InitialTensors } from './initialise.js';
import type { Found, Job } from './starts/find.js';
import { keptCount } from './starts/kept.js';
import { decompositionBytes } from './starts/singular.js';

export interface StartHooks {
  /** Matrices of all that are done. */
  progress(done: number, total: number): void;
  /** What went wrong with what is kept of earlier runs, in a line. */
  problem(text: string): void;
}

/** What the threads may take together for decompositions; a WebAssembly memory has no more. */
const MOST_BYTES = 2 ** 32;

/**
 * The factors that an adapter with `lora.start` begins with, by their names. The matrices are shared out to threads, the
 * largest first; what comes out depends on the weights alone. Weights are finite, and ranks fit them.
 * @throws InputError when a file of weights can't be read or a matrix is too large, RunError when a thread dies
 */
export async function singularStart(
  files: ModelFiles,
  lora: LoraOptions,
  threads: number,
  hooks: StartHooks,
): Promise<InitialTensors> {
  const jobs = jobsOf(files, lora).sort((a, b) => b.weight.byteLength - a.weight.byteLength);
  const found = new Map<string, Found>();
  const waiting = [...jobs];
  const work = async () => {
    const worker = new FindingThread();
    try {
      for (let job = waiting.shift(); job; job = waiting.shift()) {
        const factors = await worker.find(job);
        found.set(job.module, factors);
        if (factors.problem !== undefined) hooks.problem(factors.problem);
        hooks.progress(found.size, jobs.length);
      }
    } finally {
      // Where one fails, the others have nothing more to do.
      waiting.length = 0;
      await worker.close();
    }
  };
  hooks.progress(0, jobs.length);
  await Promise.all(Array.from({ length: threadsFor(jobs, threads) }, work));
  return new Map(
    [...loraShapes(files.config, lora)].map(([name, shape]) => {
      const { a, b } = found.get(name.slice(0, name.lastIndexOf('.lora_')))!;
      return [name, { shape, data: name.endsWith('.lora_A.weight') ? a : b }];
    }),
  );
}

function jobsOf({ config, tensors }: ModelFiles, lora: LoraOptions): Job[] {
  const modules = new Set(
    [...loraShapes(config, lora).keys()].map((name) => name.slice(0, name.lastIndexOf('.lora_'))),
  );
  return [...modules].map((module) => ({
    module,
    weight: tensors.get(`${module}.weight`)!,
    end: lora.start === 'milora' ? 'last' : 'first',
    rank: loraRank(lora, module),
    scale: loraScale(lora, module),
  }));
}

/** As many as there are, can be fed, and have room. @throws InputError when there is none for the largest matrix */
function threadsFor(jobs: readonly Job[], threads: number): number {
  const bytes = Math.max(...jobs.map(bytesOf));
  if (bytes <= MOST_BYTES) return Math.min(threads, jobs.length, Math.floor(MOST_BYTES / bytes));
  const { module, weight, rank } = jobs.find((job) => bytesOf(job) === bytes)!;
  throw new InputError(
    `${module}: expected a matrix whose singular vectors take at most ${MOST_BYTES / 2 ** 30} GiB to find, found ` +
      `[${weight.shape}] with a rank of ${rank}; use --init random, or --target-modules without it`,
  );
}

function bytesOf({ weight: { shape }, rank }: Job): number {
  const [out = 0, inputs = 0] = shape;
  return decompositionBytes(out, inputs, keptCount(rank, Math.min(out, inputs)));
}

class FindingThread {
  readonly #worker = new Worker(new URL('./starts/thread.js', import.meta.url), { name: 'starting point' });
  readonly #died = once(this.#worker, 'exit').then(([code]) => {
    throw new Error(`its thread exited with code ${code}`);
  });

  constructor() {
    this.#died.catch(() => {});
  }

  async find(job: Job): Promise<Found> {
    const answer = once(this.#worker, 'message');
    this.#worker.postMessage(job);
    try {
      const [{ found, failed }] = await Promise.race([answer, this.#died]);
      if (found) return found;
      if (failed.name === 'InputError') throw new InputError(failed.message);
      throw new Error(failed.message);
    } catch (error) {
      if (error instanceof InputError) throw error;
      throw new RunError(`singular vectors of ${job.module}: ${(error as Error).message}`);
    }
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }
}
