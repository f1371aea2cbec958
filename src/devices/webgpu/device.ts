import { totalmem } from 'node:os';
import { InputError } from '../../base/errors.js';
import type { MemoryPlan } from '../../program/plan.js';
import type { Module } from '../../program/types.js';
import type { Device, DeviceInfo, Session, SessionHandle, TellCompiling } from '../device.js';
import { type AdapterOptions, describeAdapter, findAdapter, isSoftware } from './adapter.js';
import type { Dialect } from './dialect.js';
import { Gpu } from './gpu.js';
import { planOn } from './layout.js';
import type { Target } from './lowering/lowering.js';
import { RemoteSession } from './remote.js';
import { WebGpuSession } from './session.js';
import { type KernelKind, targetOf } from './target.js';
import { Trials } from './trials.js';
import { Tuner, type Tuning } from './tuner.js';
import { type Choices, trialsFile, tuningFile } from './tuningCache.js';

export interface WebGpuOptions extends AdapterOptions {
  readonly kernels?: 'auto' | KernelKind | undefined;
  /** Whether variants of kernels are timed where it is not known which is the fastest (default: quick). */
  readonly tune?: Tuning | undefined;
  /** Variants that a run has chosen before. */
  readonly choices?: Choices | undefined;
}

/** Enough to fill the largest GPUs. */
const MICRO_BATCH_TOKENS = 8192;
/** No GPU has more. */
const MOST_MEMORY = 2 ** 40;

/** Any GPU, through Dawn: WGSL kernels, one GPU device for the sessions that are compiled here. */
export class WebGpuDevice implements Device {
  readonly info: DeviceInfo;
  readonly #adapter: GPUAdapter;
  readonly target: Target;
  readonly tuner: Tuner;
  readonly #trials: Trials;
  readonly #sessions: Session[] = [];
  #gpu: Promise<Gpu> | undefined;

  private constructor(
    adapter: GPUAdapter,
    target: Target,
    tuner: Tuner,
    trials: Trials,
    maxTotalBytes: number,
  ) {
    this.#adapter = adapter;
    this.target = target;
    this.tuner = tuner;
    this.#trials = trials;
    const kernels = target.matrices ? 'matrix' : target.precision;
    const description = `${describeAdapter(adapter.info)}, ${kernels} kernels`;
    const lossScaling = target.precision === 'f16';
    this.info = {
      name: 'webgpu',
      description,
      kernels: `webgpu ${kernels}`,
      lossScaling,
      maxSessionBytes: maxTotalBytes,
      maxTotalBytes,
      microBatchTokens: MICRO_BATCH_TOKENS,
    };
  }

  /** Finds the adapter; throws an InputError where there is none that may be used. */
  static async start(options: WebGpuOptions = {}): Promise<WebGpuDevice> {
    const adapter = await findAdapter(options);
    const { bytes, dialect } = await survey(options);
    const { kernels, tune = 'quick', choices } = options;
    const description = describeAdapter(adapter.info);
    const tuner = new Tuner(tune, tuningFile(description), choices);
    const trials = new Trials({ adapter: adapterOf(options), file: trialsFile(description) });
    return new WebGpuDevice(adapter, targetOf(adapter, dialect, kernels), tuner, trials, bytes);
  }

  plan(module: Module): MemoryPlan {
    return planOn(module, this.target);
  }

  async compile(module: Module, tell?: TellCompiling): Promise<Session> {
    const { bytes: planned } = this.plan(module);
    const bytes = planned.persistent + planned.activations;
    if (bytes > this.info.maxSessionBytes) {
      const [most, found] = [this.info.maxSessionBytes, bytes].map((n) => (n / 2 ** 30).toFixed(2));
      throw new InputError(
        `Expected a model that fits into the ${most} GiB of ${this.info.description}, found one that needs ` +
          `${found} GiB: use a smaller model or a smaller --micro-batch`,
      );
    }
    // A thread that only attaches to sessions of another one never opens the GPU.
    this.#gpu ??= Gpu.open(this.#adapter);
    const gpu = await this.#gpu;
    const target = await this.#trials.admitted(gpu, module, this.target, this.tuner, tell);
    const session = await WebGpuSession.compile(gpu, module, target, { tuner: this.tuner, tell });
    this.#sessions.push(session);
    return session;
  }

  async attach(module: Module, handle: SessionHandle): Promise<Session> {
    const session = RemoteSession.join(handle, module, this.plan(module));
    this.#sessions.push(session);
    return session;
  }

  /** Waits for the program that runs. A thread that is terminated before that takes the process with it: Dawn aborts. */
  async close(): Promise<void> {
    await Promise.all(this.#sessions.map((session) => session.close()));
    const gpu = await this.#gpu;
    await gpu?.close();
  }
}

const adapterOf = ({ adapter, allowSoftware }: WebGpuOptions): AdapterOptions => ({
  ...(adapter === undefined ? {} : { adapter }),
  ...(allowSoftware === undefined ? {} : { allowSoftware }),
});

/**
 * What only an open device tells. WebGPU doesn't say how much memory a GPU has, so it is tried out, on a device of its
 * own that may break of it.
 */
async function survey(options: WebGpuOptions): Promise<{ bytes: number; dialect: Dialect }> {
  const adapter = await findAdapter(options);
  // Where a GPU shares the host's memory, drivers promise more than there is.
  const most = adapter.info.vendor === 'apple' ? 0.75 * totalmem() : MOST_MEMORY;
  const probe = await Gpu.open(adapter);
  try {
    const bytes = isSoftware(adapter.info) ? totalmem() : await probe.freeBytes(most);
    return { bytes, dialect: probe.dialect };
  } finally {
    await probe.close();
  }
}
