import { USAGE } from './gpu.js';

/** Timestamps in one query set (WebGPU, section 20.1), two for each call. */
const MAX_QUERIES = 4096;
const TIMESTAMP_BYTES = 8;

/** Begin and end of each call of a program, on the device's own clock. */
export class Clock {
  /** Of all timestamps. */
  readonly bytes: number;
  readonly #sets: readonly GPUQuerySet[];
  readonly #resolved: GPUBuffer;
  readonly #calls: number;

  constructor(device: GPUDevice, calls: number) {
    const queries = 2 * calls;
    this.#calls = calls;
    this.#sets = Array.from({ length: Math.ceil(queries / MAX_QUERIES) }, (_, set) => {
      const count = Math.min(MAX_QUERIES, queries - set * MAX_QUERIES);
      return device.createQuerySet({ type: 'timestamp', count });
    });
    this.bytes = queries * TIMESTAMP_BYTES;
    const usage = USAGE.queryResolve | USAGE.copySource;
    this.#resolved = device.createBuffer({ label: 'clock', size: this.bytes, usage });
  }

  pass(call: number): GPUComputePassDescriptor {
    const index = (2 * call) % MAX_QUERIES;
    const querySet = this.#sets[Math.floor((2 * call) / MAX_QUERIES)]!;
    return {
      timestampWrites: { querySet, beginningOfPassWriteIndex: index, endOfPassWriteIndex: index + 1 },
    };
  }

  /** Copies all timestamps to the start of `target`. */
  resolve(encoder: GPUCommandEncoder, target: GPUBuffer): void {
    this.#sets.forEach((set, i) => {
      encoder.resolveQuerySet(set, 0, set.count, this.#resolved, i * MAX_QUERIES * TIMESTAMP_BYTES);
    });
    encoder.copyBufferToBuffer(this.#resolved, 0, target, 0, this.bytes);
  }

  /** Milliseconds of each call. */
  times(bytes: ArrayBuffer): number[] {
    const stamps = new BigUint64Array(bytes, 0, 2 * this.#calls);
    return Array.from({ length: this.#calls }, (_, i) => Number(stamps[2 * i + 1]! - stamps[2 * i]!) / 1e6);
  }

  destroy(): void {
    for (const resource of [...this.#sets, this.#resolved]) resource.destroy();
  }
}
