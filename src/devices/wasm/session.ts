import type { MessagePort } from 'node:worker_threads';
import type { Module, Value } from '../../program/types.js';
import { elementCount, valueBytes } from '../../program/types.js';
import type { HostArray, OpProfile, Replay, RunStats, Session, SessionHandle } from '../device.js';
import type { Layout } from './layout.js';
import type { Answer, Request } from './protocol.js';

type Body<T> = T extends unknown ? Omit<T, 'id'> : never;

/** Requests to the pool over one port, each answered once. */
export class PoolClient {
  readonly #port: MessagePort;
  readonly #pending = new Map<
    number,
    { resolve: (answer: Answer) => void; reject: (error: Error) => void }
  >();
  #next = 0;
  #closed: Error | undefined;

  constructor(port: MessagePort) {
    this.#port = port;
    port.on('message', (answer: Answer) => this.#settle(answer));
    port.on('close', () => this.#abandon(new Error('the compute threads are gone')));
    port.unref();
  }

  ask(body: Body<Request>): Promise<Answer> {
    if (this.#closed) return Promise.reject(this.#closed);
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject });
      this.#port.ref();
      this.#port.postMessage({ ...body, id });
    });
  }

  close(): void {
    this.#port.close();
    this.#abandon(new Error('the device is closed'));
  }

  #settle(answer: Answer): void {
    const waiting = this.#pending.get(answer.id);
    this.#pending.delete(answer.id);
    if (this.#pending.size === 0) this.#port.unref();
    if (answer.type === 'failed') waiting?.reject(new Error(answer.message));
    else waiting?.resolve(answer);
  }

  #abandon(error: Error): void {
    this.#closed ??= error;
    for (const { reject } of this.#pending.values()) reject(this.#closed);
    this.#pending.clear();
  }
}

/** What another thread needs to open the same session. */
export interface WasmHandle {
  readonly memory: WebAssembly.Memory;
  readonly session: number;
}

const VIEWS = {
  f32: Float32Array,
  u32: Uint32Array,
  i32: Int32Array,
  bf16: Uint16Array,
  f16: Uint16Array,
} as const;

/** A module in a shared linear memory, run by the pool. Threads read and write values in place. */
export class WasmSession implements Session {
  readonly plan;
  readonly #client: PoolClient;
  readonly #module: Module;
  readonly #layout: Layout;
  readonly #handle: WasmHandle;
  readonly #values: ReadonlyMap<string, Value>;

  constructor(client: PoolClient, module: Module, layout: Layout, handle: WasmHandle) {
    this.plan = layout.plan;
    this.#client = client;
    this.#module = module;
    this.#layout = layout;
    this.#handle = handle;
    this.#values = new Map(module.values.map((value) => [value.name, value]));
  }

  value(name: string): Value {
    const value = this.#values.get(name);
    if (!value) throw new Error(`Expected a value named ${name} in the module; it has none`);
    return value;
  }

  async write(value: Value, data: HostArray, offset = 0): Promise<void> {
    const view = this.#view(value);
    if (data.constructor !== view.constructor || offset + data.length > view.length) {
      const expected = `${view.length} elements of ${value.dtype}`;
      throw new Error(
        `write ${value.name}: expected at most ${expected}, found ${data.length} from ${offset} on`,
      );
    }
    view.set(data, offset);
  }

  async read(value: Value, offset = 0, length?: number): Promise<HostArray> {
    const whole = this.#view(value);
    const end = offset + (length ?? whole.length - offset);
    if (offset < 0 || end < offset || end > whole.length) {
      throw new Error(
        `read ${value.name}: expected a range of its ${whole.length} elements, found ${offset} to ${end}`,
      );
    }
    const view = whole.subarray(offset, end);
    const copy = new (view.constructor as Float32ArrayConstructor)(view.length);
    copy.set(view as Float32Array);
    return copy;
  }

  async run(program: string, priority = 0): Promise<RunStats> {
    const index = this.#module.programs.findIndex((candidate) => candidate.name === program);
    if (index < 0) throw new Error(`Expected a program named ${program} in the module; it has none`);
    const { session } = this.#handle;
    const answer = await this.#client.ask({ type: 'run', session, program: index, priority });
    return (answer as Extract<Answer, { type: 'done' }>).stats;
  }

  submit(program: string, priority: number, reads: readonly Value[]): Replay {
    const done = this.run(program, priority).then(async (stats) => ({
      stats,
      values: await Promise.all(reads.map((value) => this.read(value))),
    }));
    // Threads work on the values in place: nothing may be written before they are through.
    const accepted = done.then(() => {});
    accepted.catch(() => {});
    return { accepted, done };
  }

  async profile(): Promise<OpProfile[]> {
    const answer = await this.#client.ask({ type: 'profile', session: this.#handle.session });
    return (answer as Extract<Answer, { type: 'profile' }>).profile;
  }

  handle(): SessionHandle {
    return { device: 'wasm', payload: this.#handle, transfer: [] };
  }

  async close(): Promise<void> {
    await this.#client.ask({ type: 'close', session: this.#handle.session });
  }

  #view(value: Value): HostArray {
    const { buffer } = this.#handle.memory;
    const address = this.#layout.addressOf(value);
    if (address + valueBytes(value) > buffer.byteLength)
      throw new Error(`${value.name} lies outside of memory`);
    return new VIEWS[value.dtype](buffer as ArrayBuffer, address, elementCount(value.shape));
  }
}
