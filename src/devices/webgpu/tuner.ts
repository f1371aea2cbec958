import type { Module } from '../../program/types.js';
import type { TellCompiling } from '../device.js';
import type { Gpu } from './gpu.js';
import { layOut } from './layout.js';
import type { Target, Variant } from './lowering/lowering.js';
import { encode, type Step, Steps } from './steps.js';
import { type Choices, readChoices, writeChoices } from './tuningCache.js';

/** off: the default variants | quick: the most promising few are timed | full: all are, longer. */
export type Tuning = 'off' | 'quick' | 'full';

const EFFORT = {
  quick: { variants: 3, repeats: 3 },
  full: { variants: Number.POSITIVE_INFINITY, repeats: 9 },
} as const;
/** One measurement is of as many dispatches as take about this long, so that the way there and back counts little. */
const MEASURED_MS = 3;
const MOST_DISPATCHES = 64;

/** Finds the fastest variants of products on an adapter and remembers them. */
export class Tuner {
  readonly #tuning: Tuning;
  readonly #file: string;
  readonly #choices: Map<string, string>;

  /** @param given choices that are kept whatever the cache says: a resumed run's */
  constructor(tuning: Tuning, file: string, given: Choices = {}) {
    this.#tuning = tuning;
    this.#file = file;
    this.#choices = new Map(Object.entries(tuning === 'off' ? given : { ...readChoices(file), ...given }));
  }

  /** All choices so far. */
  get choices(): Choices {
    return Object.fromEntries(this.#choices);
  }

  /** The variants of a product that come into question, the default one first: the one that is chosen, or some to time. */
  candidates(key: string, variants: readonly Variant[]): readonly Variant[] {
    const chosen = variants.find(({ name }) => name === this.#choices.get(key));
    if (chosen) return [chosen];
    return variants.slice(0, this.#tuning === 'off' ? 1 : EFFORT[this.#tuning].variants);
  }

  /** The target with the fastest variants of a module's products, timed on its storage, which ends up as zeros. */
  async tuned(
    gpu: Gpu,
    module: Module,
    target: Target,
    storages: readonly GPUBuffer[],
    tell: TellCompiling,
  ): Promise<Target> {
    const unknown = new Map<string, readonly Variant[]>();
    const choose: Target['choose'] = (key, variants) => {
      const chosen = variants.find(({ name }) => name === this.#choices.get(key));
      if (!chosen && variants.length > 1) unknown.set(key, this.candidates(key, variants));
      return chosen;
    };
    layOut(module, { ...target, choose });
    // On a CPU that plays a GPU, the default is the one that was made for it.
    const isTimed = this.#tuning !== 'off' && target.lanes === undefined && unknown.size > 0;
    if (isTimed) {
      let done = 0;
      const found = (key: string, name: string) => {
        tell({ doing: 'tuning', done: ++done, total: unknown.size });
        this.#choices.set(key, name);
        writeChoices(this.#file, { [key]: name });
      };
      await timeAll(gpu, unknown, storages, EFFORT[this.#tuning].repeats, found);
    }
    return { ...target, choose };
  }
}

/** Finds the fastest variant of each product; `found` hears of each at once, so that an interrupted tuning goes on. */
async function timeAll(
  gpu: Gpu,
  products: ReadonlyMap<string, readonly Variant[]>,
  storages: readonly GPUBuffer[],
  repeats: number,
  found: (key: string, name: string) => void,
): Promise<void> {
  for (const [key, variants] of products) {
    const times = new Map<string, number>();
    for (const variant of variants) {
      times.set(variant.name, await msOf(gpu, variant, storages, repeats));
    }
    const [fastest] = [...times].sort(([, a], [, b]) => a - b);
    found(key, fastest![0]);
  }
  const encoder = gpu.device.createCommandEncoder();
  for (const storage of storages) encoder.clearBuffer(storage);
  gpu.device.queue.submit([encoder.finish()]);
  await gpu.finished();
}

/** Milliseconds of one go through a variant's dispatches, the least of several. */
async function msOf(
  gpu: Gpu,
  { dispatches }: Variant,
  storages: readonly GPUBuffer[],
  repeats: number,
): Promise<number> {
  const steps = await Steps.make(gpu, dispatches, storages);
  try {
    // Drivers may compile during the first run.
    await run(gpu, steps.all, 1);
    const once = await run(gpu, steps.all, 1);
    const count = Math.min(MOST_DISPATCHES, Math.max(1, Math.ceil(MEASURED_MS / once)));
    const times: number[] = [];
    for (let i = 0; i < repeats; i++) times.push(await run(gpu, steps.all, count));
    return Math.min(...times);
  } finally {
    steps.destroy();
  }
}

/** Milliseconds per go of `count` goes in one submit. */
async function run(gpu: Gpu, steps: readonly Step[], count: number): Promise<number> {
  const encoder = gpu.device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  for (let i = 0; i < count; i++) encode(pass, steps);
  pass.end();
  const start = performance.now();
  gpu.device.queue.submit([encoder.finish()]);
  await gpu.finished();
  return (performance.now() - start) / count;
}
