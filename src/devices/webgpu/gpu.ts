import { setTimeout as sleep } from 'node:timers/promises';
import { DeviceLostError, InputError } from '../../base/errors.js';
import { describeAdapter, oneLine } from './adapter.js';
import { type Dialect, dialectOf, MATRIX_FEATURES } from './dialect.js';
import { Pipelines, type Rewrite } from './pipelines.js';
import { RunQueue } from './runQueue.js';

/** GPUBufferUsage and GPUMapMode, which are not globals in Node (WebGPU, sections 5.1 and 5.4). */
export const USAGE = {
  mapRead: 0x0001,
  copySource: 0x0004,
  copyTarget: 0x0008,
  uniform: 0x0040,
  storage: 0x0080,
  queryResolve: 0x0200,
} as const;
const MAP_READ = 1;

/** Dawn's own ring for uploads has this size; larger writes get memory of their own each. */
export const SLICE_BYTES = 4 * 2 ** 20;
/** Uploads after which the device is waited for, so that they don't pile up in host memory. */
const UNFENCED_BYTES = 64 * 2 ** 20;
/** Asked for where the adapter has them. */
const OPTIONAL_FEATURES: readonly GPUFeatureName[] = [
  'timestamp-query',
  'shader-f16',
  'subgroups',
  ...MATRIX_FEATURES,
];
/** Asked for as high as the adapter goes; a device has the specification's minimum otherwise. */
const RAISED_LIMITS = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
] as const;
/** Pieces in which free memory is measured. */
const LARGEST_PROBE = 2 ** 30;
const SMALLEST_PROBE = 2 ** 26;
/** Waits shorter than this aren't worth a timer. */
const SHORTEST_SLEEP_MS = 2;

/** An open GPU device: its queue of runs, its pipelines, transfers, and whether it still works. */
export class Gpu {
  readonly device: GPUDevice;
  readonly description: string;
  readonly dialect: Dialect;
  /** One runs, one more is ready behind it. */
  readonly runs = new RunQueue(2);
  /** When the last replay was over (performance.now). */
  lastFinished = 0;
  readonly pipelines: Pipelines;
  readonly hasTimestamps: boolean;
  /** Bound where an optional operand is absent. */
  readonly absent: GPUBuffer;
  readonly #staging: GPUBuffer;
  #transfers: Promise<unknown> = Promise.resolve();
  #unfenced = 0;
  #failure: Error | undefined;

  private constructor(device: GPUDevice, description: string, dialect: Dialect, rewrite?: Rewrite) {
    this.device = device;
    this.description = description;
    this.dialect = dialect;
    this.pipelines = new Pipelines(device, dialect, rewrite);
    this.hasTimestamps = device.features.has('timestamp-query');
    this.absent = device.createBuffer({ label: 'absent', size: 256, usage: USAGE.storage });
    this.#staging = device.createBuffer({
      label: 'staging',
      size: SLICE_BYTES,
      usage: USAGE.mapRead | USAGE.copyTarget,
    });
    const fail = (what: string) => {
      this.#failure ??= new DeviceLostError(
        `the GPU device ${what}: nothing it computed since can be trusted`,
      );
    };
    device.addEventListener('uncapturederror', ({ error }) => fail(`reported "${oneLine(error.message)}"`));
    void device.lost.then(({ message }) => fail(`was lost (${oneLine(message)})`));
  }

  /** @param rewrite what becomes of the kernels' texts before they are compiled; for tests */
  static async open(adapter: GPUAdapter, rewrite?: Rewrite): Promise<Gpu> {
    const requiredLimits = Object.fromEntries(RAISED_LIMITS.map((name) => [name, adapter.limits[name]]));
    const description = describeAdapter(adapter.info);
    const opening = adapter.requestDevice({
      requiredFeatures: OPTIONAL_FEATURES.filter((feature) => adapter.features.has(feature)),
      requiredLimits,
    });
    const device = await opening.catch((error: Error) => {
      throw new Error(`Expected ${description} to open, found: ${oneLine(error.message)}`);
    });
    return new Gpu(device, description, await dialectOf(device, adapter.info), rewrite);
  }

  /** Bytes that can be had now, up to `most`, found by taking them and giving them back. */
  async freeBytes(most: number): Promise<number> {
    const taken: GPUBuffer[] = [];
    let bytes = 0;
    for (let size = Math.min(LARGEST_PROBE, this.device.limits.maxBufferSize); size >= SMALLEST_PROBE; ) {
      const probe = () => this.device.createBuffer({ label: 'probe', size, usage: USAGE.storage });
      const buffer = bytes + size <= most ? await this.checked(probe).catch(() => undefined) : undefined;
      if (buffer) {
        taken.push(buffer);
        bytes += size;
      } else size /= 2;
    }
    for (const buffer of taken) buffer.destroy();
    return bytes;
  }

  /** Throws when the device has failed in any way since it was opened. */
  throwIfFailed(): void {
    if (this.#failure) throw this.#failure;
  }

  /** Runs `make` and throws what went wrong in it; running out of memory is an InputError. */
  async checked<T>(make: () => T): Promise<T> {
    this.throwIfFailed();
    for (const filter of ['validation', 'internal', 'out-of-memory'] as const)
      this.device.pushErrorScope(filter);
    let made: T;
    let errors: Promise<(GPUError | null)[]>;
    try {
      made = make();
    } finally {
      errors = Promise.all([0, 1, 2].map(() => this.device.popErrorScope()));
    }
    const [memory, ...others] = await errors;
    if (memory) {
      throw new InputError(
        `Expected a module that fits into the memory of ${this.description}, found none left ` +
          `(${oneLine(memory.message)}): use a smaller model or a smaller --micro-batch`,
      );
    }
    for (const error of others) if (error) throw new Error(oneLine(error.message));
    return made;
  }

  /**
   * Resolves when everything submitted is done. Dawn polls without rest while it is waited for, which takes a
   * whole core; so most of the time that is expected is slept away first.
   */
  async finished(
    expectedMs = 0,
    wait: () => Promise<unknown> = () => this.device.queue.onSubmittedWorkDone(),
  ) {
    if (expectedMs > SHORTEST_SLEEP_MS) await sleep(expectedMs);
    await wait().catch((error: unknown) => {
      this.throwIfFailed();
      throw error;
    });
    this.throwIfFailed();
  }

  /** Copies bytes into a buffer, all of them before it returns. Offset and length: multiples of 4. */
  async write(buffer: GPUBuffer, offset: number, data: Uint8Array): Promise<void> {
    this.throwIfFailed();
    for (let from = 0; from < data.length; from += SLICE_BYTES) {
      const slice = unshared(data.subarray(from, from + SLICE_BYTES));
      this.device.queue.writeBuffer(buffer, offset + from, slice);
    }
    this.#unfenced += data.length;
    if (this.#unfenced < UNFENCED_BYTES) return;
    this.#unfenced = 0;
    await this.finished();
  }

  /** Copies `target.length` bytes from a buffer. Offset and length: multiples of 4. */
  async read(buffer: GPUBuffer, offset: number, target: Uint8Array): Promise<void> {
    for (let from = 0; from < target.length; from += SLICE_BYTES) {
      this.throwIfFailed();
      const size = Math.min(SLICE_BYTES, target.length - from);
      const encoder = this.device.createCommandEncoder();
      encoder.copyBufferToBuffer(buffer, offset + from, this.#staging, 0, size);
      this.device.queue.submit([encoder.finish()]);
      await this.finished(0, () => this.#staging.mapAsync(MAP_READ, 0, size));
      target.set(new Uint8Array(this.#staging.getMappedRange(0, size)), from);
      this.#staging.unmap();
    }
  }

  /** Transfers that read take turns: there is one staging buffer, and what is read may be written back changed. */
  exclusive<T>(transfer: () => Promise<T>): Promise<T> {
    const next = this.#transfers.then(transfer);
    this.#transfers = next.catch(() => {});
    return next;
  }

  /** Ends the device after the transfers under way; whatever is asked of it later rejects. */
  async close(): Promise<void> {
    await this.exclusive(async () => {
      this.#failure ??= new Error('the device is closed');
      this.device.destroy();
    });
  }
}

/** Dawn dies of an array in shared memory. */
const unshared = (data: Uint8Array): Uint8Array<ArrayBuffer> =>
  data.buffer instanceof SharedArrayBuffer ? data.slice() : (data as Uint8Array<ArrayBuffer>);
