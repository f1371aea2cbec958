import type { DeviceHosts } from './devices/host.js';
import { DeviceLostError, RunError } from './errors.js';
import { listCheckpoints } from './formats/checkpointFiles.js';
import { runPaths } from './formats/runFolder.js';
import { type RunHooks, type RunResult, runPipeline } from './pipeline.js';
import { type Preparation, prepare } from './prepare.js';

/** Losses of the device in a row without a new checkpoint between them, after which it is given up. */
const MOST_LOSSES = 3;

/** The devices of a run, which may be opened anew. */
export class Devices {
  readonly #open: () => Promise<DeviceHosts>;
  #hosts: Promise<DeviceHosts>;

  constructor(open: () => Promise<DeviceHosts>) {
    this.#open = open;
    this.#hosts = open();
    this.#hosts.catch(() => {});
  }

  hosts(): Promise<DeviceHosts> {
    return this.#hosts;
  }

  async reopen(): Promise<DeviceHosts> {
    await this.close();
    this.#hosts = this.#open();
    return this.#hosts;
  }

  async close(): Promise<void> {
    const hosts = await this.#hosts.catch(() => undefined);
    await hosts?.close();
  }
}

/** Runs to the end; where a GPU is lost on the way, goes on from the last checkpoint on a new device. */
export async function runDespiteLosses(
  prepared: Preparation,
  devices: Devices,
  hooks: RunHooks,
): Promise<RunResult> {
  const { out } = prepared;
  const losses: number[] = [];
  for (let current = prepared; ; ) {
    try {
      return await runPipeline(current, await devices.hosts(), hooks);
    } catch (error) {
      if (!(error instanceof DeviceLostError)) throw error;
      const last = listCheckpoints(runPaths(out).checkpoints).at(-1);
      const step = last?.step ?? 0;
      losses.push(step);
      if (losses.filter((at) => at === step).length >= MOST_LOSSES) {
        throw new RunError(
          `${error.message}, ${MOST_LOSSES} times; last good checkpoint: ${last?.path ?? 'none'}`,
        );
      }
      hooks.emit({ type: 'device_lost', step, message: error.message });
      current = await prepare({ out, resume: true }, await devices.reopen(), hooks.emit);
    }
  }
}
