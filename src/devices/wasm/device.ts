import { availableParallelism, totalmem } from 'node:os';
import type { MessagePort } from 'node:worker_threads';
import { InputError } from '../../base/errors.js';
import type { MemoryPlan } from '../../program/plan.js';
import type { Module } from '../../program/types.js';
import type { Device, DeviceInfo, Session, SessionHandle } from '../device.js';
import { PoolClient } from './client.js';
import { layOut, planOn } from './layout.js';
import { Pool } from './pool.js';
import { type WasmHandle, WasmSession } from './session.js';

/** A 32-bit linear memory has at most 65,536 pages of 64 KiB; the last one is not used. */
const MAX_BYTES = 65_535 * 65_536;

const MICRO_BATCH_TOKENS = 2048;

/** The embedded device: AssemblyScript SIMD kernels on a pool of threads, one linear memory per session. */
export class WasmDevice implements Device {
  readonly info: DeviceInfo;
  readonly #client: PoolClient;
  readonly #threads: number;
  readonly #ownPool: Pool | undefined;
  readonly #open = new Set<Session>();

  /** @param port a port of a Pool with `threads` threads. @param ownPool closed together with the device. */
  constructor(port: MessagePort, threads: number, ownPool?: Pool) {
    this.info = WasmDevice.describe(threads);
    this.#client = new PoolClient(port);
    this.#threads = threads;
    this.#ownPool = ownPool;
  }

  static describe(threads: number): DeviceInfo {
    const description = `${threads} thread${threads > 1 ? 's' : ''}, WebAssembly SIMD`;
    return {
      name: 'wasm',
      description,
      kernels: 'wasm',
      maxSessionBytes: MAX_BYTES,
      maxTotalBytes: totalmem(),
      microBatchTokens: MICRO_BATCH_TOKENS,
      lossScaling: false,
    };
  }

  /** A device with a pool of its own. */
  static async start(threads = availableParallelism()): Promise<WasmDevice> {
    const pool = await Pool.start(threads);
    return new WasmDevice(pool.connect(), threads, pool);
  }

  plan(module: Module): MemoryPlan {
    return planOn(module);
  }

  async compile(module: Module): Promise<Session> {
    const layout = layOut(module, this.#threads);
    if (layout.bytes > MAX_BYTES) {
      const gib = (layout.bytes / 2 ** 30).toFixed(2);
      throw new InputError(
        `Expected a model that fits into the 4 GiB of a WebAssembly memory, found one that needs ${gib} GiB: ` +
          'use a smaller model, a smaller --micro-batch, or --device webgpu',
      );
    }
    return WasmSession.open(this.#client, module, layout, this.#open);
  }

  async attach(module: Module, { device, payload }: SessionHandle): Promise<Session> {
    if (device !== 'wasm') throw new Error(`Expected a session of the wasm device, found one of ${device}`);
    return WasmSession.join(payload as WasmHandle, module, layOut(module, this.#threads), this.#open);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#open].map((session) => session.close()));
    this.#client.close('the device is closed');
    await this.#ownPool?.close();
  }
}
