import { shareOut } from '../base/jobThreads.js';
import { type LoraOptions, loraModules, loraRank, loraScale, loraShapes } from '../model/lora.js';
import type { ModelFiles } from '../model/weights.js';
import type { InitialTensors } from './initialise.js';
import type { Found, Job } from './starts/find.js';
import { threadsFor } from './starts/room.js';

export interface StartHooks {
  /** Matrices of all that are done. */
  progress(done: number, total: number): void;
  /** What went wrong with what is kept of earlier runs, in a line. */
  problem(text: string): void;
}

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
  const most = threadsFor(jobs, threads, 'use --init random, or --target-modules without it');
  hooks.progress(0, jobs.length);
  const factors = await shareOut<Job, Found>(jobs, most, {
    url: new URL('./starts/thread.js', import.meta.url),
    name: 'starting point',
    what: ({ module }) => `singular vectors of ${module}`,
    found: ({ problem }, done) => {
      if (problem !== undefined) hooks.problem(problem);
      hooks.progress(done, jobs.length);
    },
  });
  const found = new Map(jobs.map(({ module }, i) => [module, factors[i]!]));
  return new Map(
    [...loraShapes(files.config, lora)].map(([name, shape]) => {
      const { a, b } = found.get(name.slice(0, name.lastIndexOf('.lora_')))!;
      return [name, { shape, data: name.endsWith('.lora_A.weight') ? a : b }];
    }),
  );
}

const jobsOf = ({ config, tensors }: ModelFiles, lora: LoraOptions): Job[] =>
  loraModules(config, lora).map((module) => ({
    module,
    weight: tensors.get(`${module}.weight`)!,
    end: lora.start === 'milora' ? 'last' : 'first',
    rank: loraRank(lora, module),
    scale: loraScale(lora, module),
  }));
