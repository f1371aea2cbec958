import type { Value } from '../../program/types.js';
import type { HostArray } from '../device.js';
import { asHostArray } from '../hostArray.js';
import type { Clock } from './clock.js';
import { USAGE } from './gpu.js';
import { type Region, roundUp } from './lowering/lowering.js';

const MAP_READ = 1;

/** A value to copy out behind a replay, and where it is. */
export interface Read {
  readonly value: Value;
  readonly buffer: GPUBuffer;
  readonly region: Region;
}

export interface ReplayResult {
  readonly values: readonly HostArray[];
  /** Milliseconds of each call, where the device can tell. */
  readonly times: readonly number[] | undefined;
  /** Milliseconds of the whole replay, without the time the one before it still took. */
  readonly ms: number;
}

/** Room in host memory for what one replay in flight gives back: timestamps, then values. */
export class Readback {
  readonly bytes: number;
  readonly #buffer: GPUBuffer;

  constructor(device: GPUDevice, bytes: number) {
    this.bytes = bytes;
    const usage = USAGE.mapRead | USAGE.copyTarget;
    this.#buffer = device.createBuffer({ label: 'readback', size: bytes, usage });
  }

  static bytesFor(reads: readonly Read[], clock: Clock | undefined): number {
    const values = reads.reduce((sum, { region }) => sum + roundUp(region.bytes, 8), 0);
    return Math.max(8, (clock?.bytes ?? 0) + values);
  }

  encode(encoder: GPUCommandEncoder, reads: readonly Read[], clock: Clock | undefined): void {
    clock?.resolve(encoder, this.#buffer);
    let at = clock?.bytes ?? 0;
    for (const { buffer, region } of reads) {
      encoder.copyBufferToBuffer(buffer, region.offset, this.#buffer, at, region.bytes);
      at += roundUp(region.bytes, 8);
    }
  }

  /** Resolves when what was encoded has been copied. */
  map(): Promise<undefined> {
    return this.#buffer.mapAsync(MAP_READ);
  }

  take(reads: readonly Read[], clock: Clock | undefined): Omit<ReplayResult, 'ms'> {
    const mapped = this.#buffer.getMappedRange();
    const times = clock?.times(mapped);
    let at = clock?.bytes ?? 0;
    const values = reads.map(({ value, region }) => {
      const data = asHostArray(value, mapped.slice(at, at + region.bytes));
      at += roundUp(region.bytes, 8);
      return data;
    });
    this.#buffer.unmap();
    return { values, times };
  }

  destroy(): void {
    this.#buffer.destroy();
  }
}
