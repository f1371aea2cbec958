import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { elementCount, type Module, type Value, valueBytes } from '../../program/types.js';
import type {
  HostArray,
  OpProfile,
  Replay,
  RunStats,
  Session,
  SessionHandle,
  TellCompiling,
} from '../device.js';
import { asHostArray, expectInside, expectRange } from '../hostArray.js';
import { Cast } from './cast.js';
import { settled } from './client.js';
import { type Gpu, USAGE } from './gpu.js';
import { type Layout, layOut } from './layout.js';
import { roundUp, type Target } from './lowering/lowering.js';
import { CompiledProgram } from './program.js';
import type { Read } from './readback.js';
import { serveSession } from './remote.js';
import type { Tuner } from './tuner.js';

/** A compiled module in GPU buffers, one for each persistent value and slot. */
export class WebGpuSession implements Session {
  readonly plan;
  readonly #gpu: Gpu;
  readonly #layout: Layout;
  readonly #cast: Cast;
  readonly #values: ReadonlyMap<string, Value>;
  readonly #buffers: readonly GPUBuffer[];
  readonly #programs: ReadonlyMap<string, CompiledProgram>;
  readonly #profile = new Map<string, { calls: number; ms: number; flops: number; bytes: number }>();
  /** Ports through which other threads use this session. */
  readonly #ports: MessagePort[] = [];
  /** In the device's queue, until their values have been read. */
  readonly #replays = new Set<Promise<unknown>>();
  #closing: Promise<void> | undefined;

  private constructor(
    gpu: Gpu,
    module: Module,
    layout: Layout,
    cast: Cast,
    buffers: readonly GPUBuffer[],
    programs: ReadonlyMap<string, CompiledProgram>,
  ) {
    this.plan = layout.plan;
    this.#gpu = gpu;
    this.#layout = layout;
    this.#cast = cast;
    this.#values = new Map(module.values.map((value) => [value.name, value]));
    this.#buffers = buffers;
    this.#programs = programs;
  }

  /** @param tell hears of each product that is timed, and of each kernel that is made */
  static async compile(
    gpu: Gpu,
    module: Module,
    target: Target,
    { tuner, tell = () => {} }: { tuner?: Tuner | undefined; tell?: TellCompiling | undefined } = {},
  ): Promise<WebGpuSession> {
    const layout = layOut(module, target);
    const usage = USAGE.storage | USAGE.uniform | USAGE.copySource | USAGE.copyTarget;
    const cast = new Cast(gpu);
    const buffers: GPUBuffer[] = [];
    const programs = new Map<string, CompiledProgram>();
    try {
      if (module.values.some((value) => layout.typeOf(value) !== value.dtype)) await cast.prepare();
      await gpu.checked(() => {
        for (const size of layout.storages) buffers.push(gpu.device.createBuffer({ size, usage }));
      });
      const tuned = tuner ? await tuner.tuned(gpu, module, target, buffers, tell) : target;
      const laidOut = layOut(module, tuned).programs;
      const kernels = [...laidOut.values()].flatMap((calls) => calls.flatMap(({ dispatches }) => dispatches));
      await gpu.pipelines.make(kernels, tell);
      for (const [name, calls] of laidOut) {
        programs.set(name, await CompiledProgram.make(gpu, calls, buffers));
      }
    } catch (error) {
      for (const resource of [cast, ...programs.values(), ...buffers]) resource.destroy();
      throw error;
    }
    return new WebGpuSession(gpu, module, layout, cast, buffers, programs);
  }

  value(name: string): Value {
    const value = this.#values.get(name);
    if (!value) throw new Error(`Expected a value named ${name} in the module; it has none`);
    return value;
  }

  async write(value: Value, data: HostArray, offset = 0): Promise<void> {
    this.#throwIfClosed();
    expectInside(value, data, offset);
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    if (this.#isCast(value)) {
      const part = { value, buffer: this.#bufferOf(value), from: offset, count: data.length };
      return this.#cast.write(part, bytes, elementCount(value.shape));
    }
    const start = offset * data.BYTES_PER_ELEMENT;
    if (start % 4 === 0 && bytes.length % 4 === 0)
      return this.#gpu.write(this.#bufferOf(value), start, bytes);
    const copy = bytes.slice();
    return this.#gpu.exclusive(() => this.#writeHalves(value, start, copy));
  }

  /** Buffers are written in words of 4 bytes: a 16-bit neighbour in the first or last one is read and kept. */
  async #writeHalves(value: Value, start: number, bytes: Uint8Array): Promise<void> {
    const buffer = this.#bufferOf(value);
    const first = start - (start % 4);
    const words = new Uint8Array(roundUp(start + bytes.length, 4) - first);
    await this.#gpu.read(buffer, first, words.subarray(0, 4));
    await this.#gpu.read(buffer, first + words.length - 4, words.subarray(-4));
    words.set(bytes, start - first);
    await this.#gpu.write(buffer, first, words);
  }

  async read(value: Value, offset = 0, length?: number): Promise<HostArray> {
    this.#throwIfClosed();
    const end = offset + (length ?? elementCount(value.shape) - offset);
    expectRange(value, offset, end);
    // Buffers are read in words of 4 bytes: from an even element on.
    const first = offset - (offset % 2);
    const data = await this.#readFrom(value, first, end - first);
    return first === offset ? data : data.slice(1);
  }

  async #readFrom(value: Value, first: number, count: number): Promise<HostArray> {
    if (this.#isCast(value)) return this.#readCast(value, first, count);
    const width = valueBytes(value) / elementCount(value.shape);
    const bytes = new Uint8Array(roundUp(count * width, 4));
    await this.#gpu.exclusive(() => this.#gpu.read(this.#bufferOf(value), first * width, bytes));
    return asHostArray(value, bytes.buffer, 0, count);
  }

  async #readCast(value: Value, first: number, count: number): Promise<Float32Array> {
    if (value.dtype !== 'f32')
      throw new Error(`read ${value.name}: expected f32, found ${value.dtype} kept as f16`);
    const data = new Float32Array(count);
    await this.#gpu.exclusive(() => this.#cast.read(this.#bufferOf(value), first, data));
    return data;
  }

  #isCast(value: Value): boolean {
    return this.#layout.typeOf(value) !== value.dtype;
  }

  async run(program: string, priority = 0): Promise<RunStats> {
    this.#throwIfClosed();
    return (await this.submit(program, priority, []).done).stats;
  }

  submit(program: string, priority: number, reads: readonly Value[]): Replay {
    try {
      return this.#submit(program, priority, reads);
    } catch (error) {
      const done = Promise.reject(error);
      return { accepted: settled(done, done), done };
    }
  }

  #submit(program: string, priority: number, reads: readonly Value[]): Replay {
    this.#throwIfClosed();
    const compiled = this.#programs.get(program);
    if (!compiled) throw new Error(`Expected a program named ${program} in the module; it has none`);
    const copies = reads.map((value) => this.#readOf(value));
    const arrived = performance.now();
    let accept = () => {};
    const submitted = new Promise<void>((resolve) => {
      accept = resolve;
    });
    const done = this.#gpu.runs.add(priority, async () => {
      this.#throwIfClosed();
      const { values, times, ms } = await this.#underWay(compiled.submit(copies), accept);
      this.#count(compiled, times);
      const totalMs = performance.now() - arrived;
      return { stats: { totalMs, waitMs: Math.max(0, totalMs - ms) }, values };
    });
    return { accepted: settled(submitted, done), done };
  }

  /** @param accept told that the replay is in the device's queue */
  async #underWay<T>(replay: Promise<T>, accept: () => void): Promise<T> {
    this.#replays.add(replay);
    accept();
    try {
      return await replay;
    } finally {
      this.#replays.delete(replay);
    }
  }

  #readOf(value: Value): Read {
    if (this.#isCast(value))
      throw new Error(`read ${value.name}: expected it as it is, found it kept as f16`);
    return { value, buffer: this.#bufferOf(value), region: this.#layout.regionOf(value) };
  }

  #count({ calls }: CompiledProgram, times: readonly number[] | undefined): void {
    calls.forEach(({ op, flops, bytes }, i) => {
      const total = this.#profile.get(op) ?? { calls: 0, ms: 0, flops: 0, bytes: 0 };
      total.calls++;
      total.ms += times?.[i] ?? 0;
      total.flops += flops;
      total.bytes += bytes;
      this.#profile.set(op, total);
    });
  }

  async profile(): Promise<OpProfile[]> {
    this.#throwIfClosed();
    this.#gpu.throwIfFailed();
    return [...this.#profile].map(([op, total]) => ({ op, ...total }));
  }

  handle(): SessionHandle {
    this.#throwIfClosed();
    const { port1, port2 } = new MessageChannel();
    serveSession(this, port1, this.#ports);
    return { device: 'webgpu', payload: port2, transfer: [port2] };
  }

  /** Frees the buffers after the program that runs, if one does. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.#gpu.runs.add(Number.NEGATIVE_INFINITY, async () => {
      await Promise.allSettled(this.#replays);
      // A turn of the event loop at least, in which what they gave goes out through the ports.
      await this.#gpu.finished().catch(() => {});
      for (const resource of [this.#cast, ...this.#programs.values(), ...this.#buffers]) resource.destroy();
      for (const port of this.#ports) port.close();
    });
  }

  #bufferOf(value: Value): GPUBuffer {
    return this.#buffers[this.#layout.regionOf(value).storage]!;
  }

  #throwIfClosed(): void {
    if (this.#closing) throw new Error('the session is closed');
  }
}
