import type { MessagePort } from 'node:worker_threads';
import { collectGarbageAfter } from '../../base/collectGarbage.js';
import type { Module, Value } from '../../program/types.js';
import { valueBytes } from '../../program/types.js';
import type { HostArray, OpProfile, Replay, RunStats, Session, SessionHandle } from '../device.js';
import { asHostArray, expectInside, expectRange } from '../hostArray.js';
import { PoolClient } from './client.js';
import type { Layout } from './layout.js';
import type { Answer } from './protocol.js';

/** A session as all who use it share it. */
export interface SharedSession {
  readonly memory: WebAssembly.Memory;
  /** The pool's number of it. */
  readonly session: number;
  /** [1], in shared memory: 1 once the owner has closed it. */
  readonly ended: Int32Array;
}

/** What another thread needs to join a session. */
export interface WasmHandle extends SharedSession {
  /** A way to the pool. */
  readonly port: MessagePort;
}

/** A module in a shared linear memory, run by the pool. Threads read and write values in place. */
export class WasmSession implements Session {
  readonly plan;
  readonly #client: PoolClient;
  readonly #module: Module;
  readonly #layout: Layout;
  readonly #shared: SharedSession;
  readonly #owned: boolean;
  readonly #values: ReadonlyMap<string, Value>;
  readonly #open: Set<Session>;
  #closing: Promise<void> | undefined;

  private constructor(
    client: PoolClient,
    module: Module,
    layout: Layout,
    shared: SharedSession,
    owned: boolean,
    open: Set<Session>,
  ) {
    this.plan = layout.plan;
    this.#client = client;
    this.#module = module;
    this.#layout = layout;
    this.#shared = shared;
    this.#owned = owned;
    this.#values = new Map(module.values.map((value) => [value.name, value]));
    this.#open = open.add(this);
  }

  /** A new session of the client's pool. @param open where sessions of a device are that are open; this joins them */
  static async open(
    client: PoolClient,
    module: Module,
    layout: Layout,
    open: Set<Session>,
  ): Promise<WasmSession> {
    const { ops, programs, scratch, scratchStride, pages } = layout;
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    const answer = await client.ask({
      type: 'open',
      code: { memory, ops, programs, scratch, scratchStride },
    });
    const { session } = answer as Extract<Answer, { type: 'opened' }>;
    const ended = new Int32Array(new SharedArrayBuffer(4));
    return new WasmSession(client, module, layout, { memory, session, ended }, true, open);
  }

  /** A session that is open already, also one of another pool. */
  static join(
    { port, ...shared }: WasmHandle,
    module: Module,
    layout: Layout,
    open: Set<Session>,
  ): WasmSession {
    return new WasmSession(new PoolClient(port), module, layout, shared, false, open);
  }

  value(name: string): Value {
    const value = this.#values.get(name);
    if (!value) throw new Error(`Expected a value named ${name} in the module; it has none`);
    return value;
  }

  async write(value: Value, data: HostArray, offset = 0): Promise<void> {
    this.#throwIfClosed();
    expectInside(value, data, offset);
    this.#view(value).set(data, offset);
  }

  async read(value: Value, offset = 0, length?: number): Promise<HostArray> {
    this.#throwIfClosed();
    const whole = this.#view(value);
    const end = offset + (length ?? whole.length - offset);
    expectRange(value, offset, end);
    return whole.slice(offset, end);
  }

  async run(program: string, priority = 0): Promise<RunStats> {
    return (await this.#replay(program, priority, [])).stats;
  }

  submit(program: string, priority: number, reads: readonly Value[]): Replay {
    const done = this.#replay(program, priority, reads);
    // Threads work on the values in place: nothing may be written before they are through.
    const accepted = done.then(() => {});
    accepted.catch(() => {});
    return { accepted, done };
  }

  async #replay(name: string, priority: number, reads: readonly Value[]): Replay['done'] {
    this.#throwIfClosed();
    const program = this.#module.programs.findIndex((candidate) => candidate.name === name);
    if (program < 0) throw new Error(`Expected a program named ${name} in the module; it has none`);
    const ranges = reads.map((value) => ({ address: this.#addressOf(value), bytes: valueBytes(value) }));
    const { session } = this.#shared;
    const answer = await this.#client.ask({ type: 'run', session, program, priority, reads: ranges });
    const { stats, copies } = answer as Extract<Answer, { type: 'done' }>;
    return { stats, values: reads.map((value, i) => asHostArray(value, copies[i]!)) };
  }

  async profile(): Promise<OpProfile[]> {
    this.#throwIfClosed();
    const answer = await this.#client.ask({ type: 'profile', session: this.#shared.session });
    return (answer as Extract<Answer, { type: 'profile' }>).profile;
  }

  handle(): SessionHandle {
    this.#throwIfClosed();
    const port = this.#client.connect();
    const payload: WasmHandle = { ...this.#shared, port };
    return { device: 'wasm', payload, transfer: [port] };
  }

  close(): Promise<void> {
    this.#closing ??= this.#close().finally(() => collectGarbageAfter(this.#layout.bytes));
    this.#open.delete(this);
    return this.#closing;
  }

  async #close(): Promise<void> {
    if (!this.#owned) return this.#client.close('the session is closed');
    const { session, ended } = this.#shared;
    Atomics.store(ended, 0, 1);
    // Where the threads are dead, there is nothing left to free.
    await this.#client.ask({ type: 'close', session }).catch(() => {});
  }

  #throwIfClosed(): void {
    if (this.#closing || Atomics.load(this.#shared.ended, 0) === 1) throw new Error('the session is closed');
    this.#client.throwIfClosed();
  }

  #addressOf(value: Value): number {
    const address = this.#layout.addressOf(value);
    if (address + valueBytes(value) <= this.#shared.memory.buffer.byteLength) return address;
    throw new Error(`${value.name} lies outside of memory`);
  }

  #view(value: Value): HostArray {
    return asHostArray(value, this.#shared.memory.buffer, this.#addressOf(value));
  }
}
