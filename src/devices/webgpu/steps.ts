import { type Gpu, USAGE } from './gpu.js';
import type { Dispatch, Groups, Region } from './lowering/lowering.js';

/** Where a uniform may begin. */
const UNIFORM_ALIGNMENT = 256;

/** A dispatch that is ready to be encoded. */
export interface Step {
  readonly pipeline: GPUComputePipeline;
  readonly bindGroup: GPUBindGroup;
  readonly groups: Groups;
}

/** Dispatches with their pipelines and bind groups, which hold on to the buffers they name. */
export class Steps {
  readonly all: readonly Step[];
  readonly #uniforms: Uniforms;

  private constructor(
    gpu: Gpu,
    dispatches: readonly Dispatch[],
    storages: readonly GPUBuffer[],
    pipelines: readonly GPUComputePipeline[],
  ) {
    this.#uniforms = new Uniforms(gpu.device, dispatches);
    this.all = dispatches.map(({ bindings, scalars = [], groups }, i) => {
      const pipeline = pipelines[i]!;
      const operands = [...bindings, ...scalars].map((region) => bind(gpu, storages, region));
      const entries = [this.#uniforms.binding(i), ...operands];
      const bindGroup = gpu.device.createBindGroup({
        layout: pipeline.getBindGroupLayout(0),
        entries: entries.map((resource, binding) => ({ binding, resource })),
      });
      return { pipeline, bindGroup, groups };
    });
  }

  static async make(
    gpu: Gpu,
    dispatches: readonly Dispatch[],
    storages: readonly GPUBuffer[],
  ): Promise<Steps> {
    const pipelines = await Promise.all(dispatches.map((dispatch) => gpu.pipelines.get(dispatch)));
    return gpu.checked(() => new Steps(gpu, dispatches, storages, pipelines));
  }

  destroy(): void {
    this.#uniforms.destroy();
  }
}

export function encode(pass: GPUComputePassEncoder, steps: readonly Step[]): void {
  for (const { pipeline, bindGroup, groups } of steps) {
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, bindGroup);
    pass.dispatchWorkgroups(...groups);
  }
}

function bind(gpu: Gpu, storages: readonly GPUBuffer[], region: Region | null): GPUBufferBinding {
  if (!region) return { buffer: gpu.absent };
  return { buffer: storages[region.storage]!, offset: region.offset, size: region.bytes };
}

/** The uniforms of dispatches, constant, in one buffer. */
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
