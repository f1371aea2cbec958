import { once } from 'node:events';
import { MessageChannel, Worker } from 'node:worker_threads';
import { InputError } from '../../base/errors.js';
import type { MemoryPlan } from '../../program/plan.js';
import type { Module } from '../../program/types.js';
import type { DeviceInfo } from '../device.js';
import type { WebGpuOptions } from './device.js';
import { planOn } from './layout.js';
import type { Target } from './lowering/lowering.js';
import type { GpuConnection } from './remoteDevice.js';
import type { Order, Started } from './thread.js';
import type { Choices } from './tuningCache.js';

/** A GPU in a thread of its own, for the actors of a run. */
export class GpuHost {
  readonly info: DeviceInfo;
  readonly target: Target;
  /** Resolves with the cause when the thread has ended by itself. */
  readonly failed: Promise<Error>;
  readonly #worker: Worker;
  #closing: Promise<void> | undefined;

  private constructor(worker: Worker, { info, target }: Extract<Started, { type: 'started' }>) {
    this.info = info;
    this.target = target;
    this.#worker = worker;
    this.failed = new Promise((resolve) => {
      worker.on('error', resolve);
      worker.on('exit', (code) => {
        if (!this.#closing) resolve(new Error(`the GPU's thread exited with code ${code}`));
      });
    });
  }

  /** Throws an InputError where there is no GPU that may be used. */
  static async start(options: WebGpuOptions): Promise<GpuHost> {
    const worker = new Worker(new URL('./thread.js', import.meta.url), { name: 'gpu' });
    worker.postMessage({ type: 'start', options } satisfies Order);
    const [started] = (await once(worker, 'message')) as [Started];
    if (started.type === 'started') return new GpuHost(worker, started);
    await end(worker);
    throw started.name === 'InputError' ? new InputError(started.message) : new Error(started.message);
  }

  plan(module: Module): MemoryPlan {
    return planOn(module, this.target);
  }

  connect(): GpuConnection {
    const { port1, port2 } = new MessageChannel();
    this.#worker.postMessage({ type: 'connect', port: port1 } satisfies Order, [port1]);
    return { name: 'webgpu', info: this.info, target: this.target, port: port2 };
  }

  async choices(): Promise<Choices> {
    this.#worker.postMessage({ type: 'choices' } satisfies Order);
    const [choices] = (await once(this.#worker, 'message')) as [Choices];
    return choices;
  }

  close(): Promise<void> {
    this.#closing ??= end(this.#worker);
    return this.#closing;
  }
}

async function end(worker: Worker): Promise<void> {
  const exited = once(worker, 'exit');
  worker.postMessage({ type: 'close' } satisfies Order);
  await exited;
}
