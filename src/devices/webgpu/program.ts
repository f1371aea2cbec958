import { type Gpu, USAGE } from './gpu.js';
import type { KernelCall } from './layout.js';
import type { Dispatch, Region } from './lowering/lowering.js';

/** Timestamps in one query set (WebGPU, section 20.1), two for each call. */
const MAX_QUERIES = 4096;
const TIMESTAMP_BYTES = 8;
/** Where a uniform may begin. */
const UNIFORM_ALIGNMENT = 256;
const MAP_READ = 1;
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

  /** One submit. @returns the milliseconds of each call, where the device can tell. */
  async run(): Promise<readonly number[] | undefined> {
    const gpu = this.#gpu;
    gpu.throwIfFailed();
    const start = performance.now();
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
    this.#clock?.resolve(encoder);
    gpu.device.queue.submit([encoder.finish()]);
    const expectedMs = this.#replays > 1 ? SLEEP_FRACTION * this.#shortestMs : 0;
    await gpu.finished(expectedMs, this.#clock && (() => this.#clock!.fetch()));
    // Drivers may compile during the first replay, which says nothing about the others then.
    if (this.#replays++ > 0) this.#shortestMs = Math.min(this.#shortestMs, performance.now() - start);
    return this.#clock?.times();
  }

  destroy(): void {
    this.#uniforms.destroy();
    this.#clock?.destroy();
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

/** Begin and end of each call of a program, on the device's own clock. */
class Clock {
  readonly #sets: readonly GPUQuerySet[];
  readonly #resolved: GPUBuffer;
  readonly #staging: GPUBuffer;
  readonly #calls: number;

  constructor(device: GPUDevice, calls: number) {
    const queries = 2 * calls;
    this.#calls = calls;
    this.#sets = Array.from({ length: Math.ceil(queries / MAX_QUERIES) }, (_, set) => {
      const count = Math.min(MAX_QUERIES, queries - set * MAX_QUERIES);
      return device.createQuerySet({ type: 'timestamp', count });
    });
    const size = queries * TIMESTAMP_BYTES;
    this.#resolved = device.createBuffer({ size, usage: USAGE.queryResolve | USAGE.copySource });
    this.#staging = device.createBuffer({ size, usage: USAGE.mapRead | USAGE.copyTarget });
  }

  pass(call: number): GPUComputePassDescriptor {
    const index = (2 * call) % MAX_QUERIES;
    const querySet = this.#sets[Math.floor((2 * call) / MAX_QUERIES)]!;
    return {
      timestampWrites: { querySet, beginningOfPassWriteIndex: index, endOfPassWriteIndex: index + 1 },
    };
  }

  resolve(encoder: GPUCommandEncoder): void {
    this.#sets.forEach((set, i) => {
      encoder.resolveQuerySet(set, 0, set.count, this.#resolved, i * MAX_QUERIES * TIMESTAMP_BYTES);
    });
    encoder.copyBufferToBuffer(this.#resolved, 0, this.#staging, 0, this.#staging.size);
  }

  fetch(): Promise<undefined> {
    return this.#staging.mapAsync(MAP_READ);
  }

  times(): number[] {
    const stamps = new BigUint64Array(this.#staging.getMappedRange());
    const times = Array.from(
      { length: this.#calls },
      (_, i) => Number(stamps[2 * i + 1]! - stamps[2 * i]!) / 1e6,
    );
    this.#staging.unmap();
    return times;
  }

  destroy(): void {
    for (const resource of [...this.#sets, this.#resolved, this.#staging]) resource.destroy();
  }
}
