import { Clock } from './clock.js';
import { type Gpu, USAGE } from './gpu.js';
import type { KernelCall } from './layout.js';
import type { Dispatch, Region } from './lowering/lowering.js';
import { type Read, Readback, type ReplayResult } from './readback.js';

/** Where a uniform may begin. */
const UNIFORM_ALIGNMENT = 256;
/** Of the shortest replay so far, how much is slept away before the device is polled. */
const SLEEP_FRACTION = 0.8;

interface Step {
  readonly pipeline: GPUComputePipeline;
  readonly bindGroup: GPUBindGroup;
  readonly groups: readonly [number, number];
}

/** A program whose pipelines and bind groups are made: a replay encodes and submits them. */
export class CompiledProgram {
  readonly calls: readonly KernelCall[];
  readonly #gpu: Gpu;
  readonly #steps: readonly (readonly Step[])[];
  readonly #uniforms: Uniforms;
  readonly #clock: Clock | undefined;
  readonly #free: Readback[] = [];
  #replays = 0;
  #shortestMs = Number.POSITIVE_INFINITY;

  private constructor(
    gpu: Gpu,
    calls: readonly KernelCall[],
    storages: readonly GPUBuffer[],
    pipelines: GPUComputePipeline[],
  ) {
    this.calls = calls;
    this.#gpu = gpu;
    const dispatches = calls.flatMap((call) => call.dispatches);
    this.#uniforms = new Uniforms(gpu.device, dispatches);
    let next = 0;
    this.#steps = calls.map((call) =>
      call.dispatches.map(({ bindings, scalars = [], groups }) => {
        const pipeline = pipelines[next]!;
        const operands = [...bindings, ...scalars].map((region) => bind(gpu, storages, region));
        const entries = [this.#uniforms.binding(next++), ...operands];
        const bindGroup = gpu.device.createBindGroup({
          layout: pipeline.getBindGroupLayout(0),
          entries: entries.map((resource, binding) => ({ binding, resource })),
        });
        return { pipeline, bindGroup, groups };
      }),
    );
    this.#clock = gpu.hasTimestamps && calls.length > 0 ? new Clock(gpu.device, calls.length) : undefined;
  }

  static async make(
    gpu: Gpu,
    calls: readonly KernelCall[],
    storages: readonly GPUBuffer[],
  ): Promise<CompiledProgram> {
    const dispatches = calls.flatMap((call) => call.dispatches);
    const pipelines = await Promise.all(dispatches.map((dispatch) => gpu.pipelines.get(dispatch)));
    return gpu.checked(() => new CompiledProgram(gpu, calls, storages, pipelines));
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
    this.#steps.forEach((steps, call) => {
      const pass = encoder.beginComputePass(this.#clock?.pass(call));
      for (const { pipeline, bindGroup, groups } of steps) {
        pass.setPipeline(pipeline);
        pass.setBindGroup(0, bindGroup);
        pass.dispatchWorkgroups(...groups);
      }
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
    this.#uniforms.destroy();
    this.#clock?.destroy();
    for (const readback of this.#free) readback.destroy();
  }
}

function bind(gpu: Gpu, storages: readonly GPUBuffer[], region: Region | null): GPUBufferBinding {
  if (!region) return { buffer: gpu.absent };
  return { buffer: storages[region.storage]!, offset: region.offset, size: region.bytes };
}

/** The uniforms of a program's dispatches, constant, in one buffer. */
class Uniforms {
  readonly #buffer: GPUBuffer;
  readonly #sizes: readonly number[];

  constructor(device: GPUDevice, dispatches: readonly Dispatch[]) {
    const size = Math.max(1, dispatches.length) * UNIFORM_ALIGNMENT;
    this.#buffer = device.createBuffer({
      label: 'shapes',
      size,
      usage: USAGE.uniform,
      mappedAtCreation: true,
    });
    const words = new Uint32Array(this.#buffer.getMappedRange());
    dispatches.forEach(({ shape }, i) => {
      words.set(shape, (i * UNIFORM_ALIGNMENT) / 4);
    });
    this.#buffer.unmap();
    this.#sizes = dispatches.map(({ shape }) => shape.length * 4);
  }

  binding(index: number): GPUBufferBinding {
    return { buffer: this.#buffer, offset: index * UNIFORM_ALIGNMENT, size: this.#sizes[index]! };
  }

  destroy(): void {
    this.#buffer.destroy();
  }
}
