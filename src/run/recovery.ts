import { DeviceLostError, RunError } from '../base/errors.js';
import type { DeviceHosts, HostChoices } from '../devices/host.js';
import { listCheckpoints } from '../formats/checkpointFiles.js';
import { runPaths } from '../formats/runFolder.js';
import { type Preparation, prepare } from '../prepare/prepare.js';
import { resolveOptions } from '../prepare/resolveOptions.js';
import type { RunHooks } from './hooks.js';
import type { RunResult } from './result.js';
import { type RunAmong, runPipeline } from './runPipeline.js';

/** Losses of the device in a row without a new checkpoint between them, after which it is given up. */
const MOST_LOSSES = 3;

/** The devices of a run, which may be opened anew. */
export class Devices {
  readonly #start: (chosen?: HostChoices) => Promise<DeviceHosts>;
  #hosts: DeviceHosts | undefined;

  constructor(start: (chosen?: HostChoices) => Promise<DeviceHosts>) {
    this.#start = start;
  }

  /** Those that were opened last. */
  get hosts(): DeviceHosts {
    if (!this.#hosts) throw new Error('The devices are not open');
    return this.#hosts;
  }

  /** @param chosen what the run's devices chose before */
  async open(chosen: HostChoices | undefined): Promise<DeviceHosts> {
    await this.close();
    this.#hosts = await this.#start(chosen);
    return this.#hosts;
  }

  async close(): Promise<void> {
    const hosts = this.#hosts;
    this.#hosts = undefined;
    await hosts?.close();
  }
}

/**
 * Runs to the end, see `runPipeline`; where a GPU is lost on the way, goes on from the last checkpoint on a new device,
 * unless other ranks wait for it.
 */
export async function runDespiteLosses(
  prepared: Preparation,
  devices: Devices,
  hooks: RunHooks,
  among: RunAmong = {},
): Promise<RunResult> {
  const { out } = prepared;
  const losses: number[] = [];
  for (let current = prepared; ; ) {
    try {
      return await runPipeline(current, devices.hosts, hooks, among);
    } catch (error) {
      const isShared = among.world !== undefined && among.world.size > 1;
      if (!(error instanceof DeviceLostError) || isShared) throw error;
      const last = listCheckpoints(runPaths(out).checkpoints).at(-1);
      const step = last?.step ?? 0;
      losses.push(step);
      if (losses.filter((at) => at === step).length >= MOST_LOSSES) {
        throw new RunError(
          `${error.message}, ${MOST_LOSSES} times; last good checkpoint: ${last?.path ?? 'none'}`,
        );
      }
      hooks.emit({ type: 'device_lost', step, message: error.message });
      const request = resolveOptions({ out, resume: true });
      const hosts = await devices.open(request.before?.variants);
      current = await prepare(request, hosts, hooks.emit);
    }
  }
}
