import { type AdapterOptions, findAdapter, oneLine } from './adapter.js';
import { describeError } from './client.js';
import { Gpu } from './gpu.js';
import type { Shader } from './pipelines.js';

/** A pipeline that is to be made. */
export interface Trial extends Shader {
  readonly file: string;
  readonly entry: string;
}

/** What the process is told, once. */
export interface TrialOrder {
  readonly adapter: AdapterOptions;
  readonly trials: readonly Trial[];
  /** How many are made side by side. */
  readonly atOnce: number;
}

/** What it answers: that it has opened the GPU, or why not; then what came of each trial. */
export type TrialAnswer =
  | { readonly type: 'open' }
  | { readonly type: 'failed'; readonly message: string }
  /** @property error why the driver did not make it; absent: it did */
  | { readonly type: 'ended'; readonly index: number; readonly error?: string | undefined };

/** Makes a pipeline. Resolves with why that failed, if it did. */
type Make = (device: GPUDevice, trial: Trial) => Promise<string | undefined>;

export const makePipeline: Make = (device, { file, entry, code, overrides }) => {
  const module = device.createShaderModule({ label: file, code });
  const compute = { module, entryPoint: entry, constants: overrides };
  return device.createComputePipelineAsync({ label: entry, layout: 'auto', compute }).then(
    () => undefined,
    (error: Error) => oneLine(error.message),
  );
};

/** Obeys the order of the parent process, and ends. */
export function serveTrials(make: Make): void {
  process.once('message', async (order: TrialOrder) => {
    try {
      await obey(order, make);
    } catch (error) {
      await answer({ type: 'failed', message: describeError(error).message });
    }
    process.exit();
  });
}

/** Resolves when the parent has it: a crash right after would lose it otherwise. */
const answer = (message: TrialAnswer): Promise<void> =>
  new Promise((resolve) => process.send!(message, () => resolve()));

async function obey({ adapter, trials, atOnce }: TrialOrder, make: Make): Promise<void> {
  const { device } = await Gpu.open(await findAdapter(adapter));
  await answer({ type: 'open' });
  let next = 0;
  const work = async () => {
    while (next < trials.length) {
      const index = next++;
      await answer({ type: 'ended', index, error: await make(device, trials[index]!) });
    }
  };
  await Promise.all(Array.from({ length: atOnce }, work));
}
