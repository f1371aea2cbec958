import { shareOut } from '../base/jobThreads.js';
import { type LoraOptions, loraModules, loraRank, loraScale } from '../model/lora.js';
import type { ModelFiles } from '../model/weights.js';
import type { LayerChange, LayerChanges, LayerJob } from './dynamics/layer.js';
import { threadsFor } from './starts/room.js';

export interface DynamicsHooks {
  /** What went wrong with what is kept of singular vectors, in a line: it cost time, nothing else. */
  readonly problem: (text: string) => void;
  /** Layers of all that are done. */
  readonly progress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal | undefined;
}

/**
 * What an adapter does to the weights of a model at several times, the means over its layers: of the norm over all of them,
 * of the others over those that it has changed, and 0 where it has changed none. Layers are shared out to threads; singular
 * vectors are kept as those of starts are. Weights are finite.
 * @param folders that `readParameters` finds an adapter in each
 * @returns in the order of the folders
 * @throws InputError when a file can't be read or a matrix is too large, RunError when a thread dies or the signal says stop
 */
export async function adapterChanges(
  { config, tensors }: ModelFiles,
  lora: LoraOptions,
  folders: readonly string[],
  threads: number,
  { problem, progress = () => {}, signal }: DynamicsHooks,
): Promise<LayerChange[]> {
  const jobs = loraModules(config, lora).map(
    (module): LayerJob => ({
      module,
      weight: tensors.get(`${module}.weight`)!,
      rank: loraRank(lora, module),
      scale: loraScale(lora, module),
      hasStart: lora.start !== undefined,
      folders,
    }),
  );
  const most = threadsFor(jobs, threads, 'leave dynamics out of the measures');
  const told = new Set<string>();
  const layers = await shareOut<LayerJob, LayerChanges>(jobs, most, {
    url: new URL('./dynamics/thread.js', import.meta.url),
    name: 'dynamics',
    what: ({ module }) => `dynamics of ${module}`,
    found: ({ problems }, done) => {
      for (const text of problems) {
        if (!told.has(text)) problem(text);
        told.add(text);
      }
      progress(done, jobs.length);
    },
    signal,
  });
  return folders.map((_, i) => meanChange(layers.map(({ changes }) => changes[i]!)));
}

function meanChange(layers: readonly LayerChange[]): LayerChange {
  const mean = (of: (layer: LayerChange) => number) => {
    const values = layers.map(of).filter(Number.isFinite);
    return values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length;
  };
  return {
    norm: mean(({ norm }) => norm),
    stableRank: mean(({ stableRank }) => stableRank),
    top: mean(({ top }) => top),
    bottom: mean(({ bottom }) => bottom),
  };
}
