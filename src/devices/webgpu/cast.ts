import type { DType, Value } from '../../program/types.js';
import { type Gpu, SLICE_BYTES, USAGE } from './gpu.js';
import { roundUp } from './lowering/lowering.js';

/** kernels/cast.wgsl: THREADS. */
const THREADS = 256;
const MAX_GROUPS = 65_535;
/** Where a binding may begin. */
const ALIGNMENT = 256;
/** Elements that a slice of 4-byte words holds. */
const SLICE_ELEMENTS = SLICE_BYTES / 4;
const WRITES: Partial<Record<DType, string>> = { bf16: 'bf16_to_f16', f32: 'f32_to_f16' };
const READ = 'f16_to_f32';

/** Elements `from` to `from + count` of a value that is stored as f16. */
interface Part {
  readonly value: Value;
  readonly buffer: GPUBuffer;
  readonly from: number;
  readonly count: number;
}

/** Writes and reads values that are stored as f16 and declared otherwise. The GPU converts, slice by slice. */
export class Cast {
  readonly #gpu: Gpu;
  #scratch: GPUBuffer | undefined;
  readonly #pipelines = new Map<string, GPUComputePipeline>();

  constructor(gpu: Gpu) {
    this.#gpu = gpu;
  }

  /** Makes the kernels, before the first use and so that a write has copied its data when it returns. */
  async prepare(): Promise<void> {
    const usage = USAGE.storage | USAGE.copySource | USAGE.copyTarget;
    this.#scratch = this.#gpu.device.createBuffer({ label: 'cast', size: SLICE_BYTES, usage });
    for (const entry of [...Object.values(WRITES), READ]) {
      const kernel = { file: 'cast', entry, types: {}, constants: {} };
      this.#pipelines.set(entry, await this.#gpu.pipelines.get(kernel));
    }
  }

  /**
   * Expects the part to begin at an even element, and to end at one or at the end of the value. All of `bytes` is on its
   * way before it returns: the caller may fill them anew.
   */
  async write({ value, buffer, from, count }: Part, bytes: Uint8Array, length: number): Promise<void> {
    if (from % 2 === 1 || (count % 2 === 1 && from + count < length)) {
      throw new Error(`write ${value.name}: expected pairs of elements, found ${count} from ${from} on`);
    }
    const entry = WRITES[value.dtype]!;
    const width = bytes.length / count;
    const written: Promise<void>[] = [];
    for (let done = 0; done < count; done += SLICE_ELEMENTS) {
      const slice = Math.min(SLICE_ELEMENTS, count - done);
      const data = new Uint8Array(roundUp(slice, 2) * width);
      data.set(bytes.subarray(done * width, (done + slice) * width));
      written.push(this.#gpu.write(this.#scratch!, 0, data));
      const place = { buffer, from: from + done, count: slice };
      this.#dispatch(entry, place, (stored) => [{ buffer: this.#scratch! }, stored]);
    }
    await Promise.all(written);
  }

  /** Fills `target` with the value as f32, from element `first` on, which is even. */
  async read(buffer: GPUBuffer, first: number, target: Float32Array): Promise<void> {
    for (let done = 0; done < target.length; done += SLICE_ELEMENTS) {
      const count = Math.min(SLICE_ELEMENTS, target.length - done);
      const place = { buffer, from: first + done, count };
      this.#dispatch(READ, place, (stored) => [stored, { buffer: this.#scratch! }]);
      const bytes = new Uint8Array(target.buffer, target.byteOffset + 4 * done, 4 * count);
      await this.#gpu.read(this.#scratch!, 0, bytes);
    }
  }

  destroy(): void {
    this.#scratch?.destroy();
  }

  #dispatch(
    entry: string,
    { buffer, from, count }: Omit<Part, 'value'>,
    bind: (stored: GPUBufferBinding) => [GPUBufferBinding, GPUBufferBinding],
  ): void {
    const { device } = this.#gpu;
    const pipeline = this.#pipelines.get(entry)!;
    const words = Math.ceil(count / 2);
    const offset = 2 * from - ((2 * from) % ALIGNMENT);
    const first = (2 * from - offset) / 4;
    const stored = { buffer, offset, size: 4 * (first + words) };
    const shape = device.createBuffer({ size: 8, usage: USAGE.uniform | USAGE.copyTarget });
    device.queue.writeBuffer(shape, 0, Uint32Array.of(words, first));
    const entries = [{ buffer: shape }, ...bind(stored)].map((resource, binding) => ({ binding, resource }));
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries }));
    pass.dispatchWorkgroups(Math.min(MAX_GROUPS, Math.ceil(words / THREADS)));
    pass.end();
    device.queue.submit([encoder.finish()]);
    shape.destroy();
  }
}
