import { Clock } from './clock.js';
import type { Gpu } from './gpu.js';
import type { KernelCall } from './layout.js';
import { type Read, Readback, type ReplayResult } from './readback.js';
import { encode, Steps } from './steps.js';

/** Of the shortest replay so far, how much is slept away before the device is polled. */
const SLEEP_FRACTION = 0.8;

/** A program whose pipelines and bind groups are made: a replay encodes and submits them. */
export class CompiledProgram {
  readonly calls: readonly KernelCall[];
  readonly #gpu: Gpu;
  readonly #steps: Steps;
  readonly #clock: Clock | undefined;
  readonly #free: Readback[] = [];
  #replays = 0;
  #shortestMs = Number.POSITIVE_INFINITY;

  private constructor(gpu: Gpu, calls: readonly KernelCall[], steps: Steps) {
    this.calls = calls;
    this.#gpu = gpu;
    this.#steps = steps;
    this.#clock = gpu.hasTimestamps && calls.length > 0 ? new Clock(gpu.device, calls.length) : undefined;
  }

  static async make(
    gpu: Gpu,
    calls: readonly KernelCall[],
    storages: readonly GPUBuffer[],
  ): Promise<CompiledProgram> {
    const dispatches = calls.flatMap((call) => call.dispatches);
    const steps = await Steps.make(gpu, dispatches, storages);
    return gpu.checked(() => new CompiledProgram(gpu, calls, steps));
  }

  /**
   * One submit; when this returns, it is in the device's queue.
   * @param reads what to copy out right behind it
   */
  submit(reads: readonly Read[]): Promise<ReplayResult> {
    const gpu = this.#gpu;
    gpu.throwIfFailed();
    const start = Math.max(performance.now(), gpu.lastFinished);
    const encoder = gpu.device.createCommandEncoder();
    let next = 0;
    this.calls.forEach(({ dispatches }, call) => {
      const pass = encoder.beginComputePass(this.#clock?.pass(call));
      encode(pass, this.#steps.all.slice(next, next + dispatches.length));
      next += dispatches.length;
      pass.end();
    });
    const readback = this.#readback(reads);
    readback.encode(encoder, reads, this.#clock);
    gpu.device.queue.submit([encoder.finish()]);
    return this.#finish(readback, reads, start);
  }

  async #finish(readback: Readback, reads: readonly Read[], start: number): Promise<ReplayResult> {
    const gpu = this.#gpu;
    const expectedMs = this.#replays > 1 ? SLEEP_FRACTION * this.#shortestMs : 0;
    await gpu.finished(expectedMs, () => readback.map());
    const now = performance.now();
    const ms = now - Math.max(start, gpu.lastFinished);
    gpu.lastFinished = now;
    // Drivers may compile during the first replay, which says nothing about the others then.
    if (this.#replays++ > 0) this.#shortestMs = Math.min(this.#shortestMs, ms);
    const result = readback.take(reads, this.#clock);
    this.#free.push(readback);
    return { ...result, ms };
  }

  /** A free one, large enough; there are as many as replays in flight. */
  #readback(reads: readonly Read[]): Readback {
    const bytes = Readback.bytesFor(reads, this.#clock);
    const index = this.#free.findIndex((free) => free.bytes >= bytes);
    return index < 0 ? new Readback(this.#gpu.device, bytes) : this.#free.splice(index, 1)[0]!;
  }

  destroy(): void {
    this.#steps.destroy();
    this.#clock?.destroy();
    for (const readback of this.#free) readback.destroy();
  }
}
