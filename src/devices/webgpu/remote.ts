import { MessageChannel, type MessagePort } from 'node:worker_threads';
import type { MemoryPlan } from '../../program/plan.js';
import type { Module, Value } from '../../program/types.js';
import type { HostArray, OpProfile, Replay, RunStats, Session, SessionHandle } from '../device.js';
import { type Answer, Client, describeError } from './client.js';

/** What another thread may ask of a session. Values go by name. */
type Request =
  | { readonly type: 'write'; readonly value: string; readonly data: HostArray; readonly offset: number }
  | {
      readonly type: 'read';
      readonly value: string;
      readonly offset: number;
      readonly length: number | undefined;
    }
  | {
      readonly type: 'submit';
      readonly program: string;
      readonly priority: number;
      readonly reads: readonly string[];
    }
  | { readonly type: 'profile' }
  | { readonly type: 'close' };

/** `id` pairs a request with its answer. `connect` has none: one more thread joins through `port`. */
type Message =
  | { readonly type: 'ask'; readonly id: number; readonly request: Request }
  | { readonly type: 'connect'; readonly port: MessagePort };

/** Answers requests for `session` that come through `port`, which joins `ports`, until either side closes it. */
export function serveSession(session: Session, port: MessagePort, ports: MessagePort[]): void {
  ports.push(port);
  port.on('message', async (message: Message) => {
    if (message.type === 'connect') return serveSession(session, message.port, ports);
    const { id, request } = message;
    const tellAccepted = () => port.postMessage({ id, type: 'accepted' } satisfies Answer);
    try {
      const result = await perform(session, request, tellAccepted);
      port.postMessage({ id, type: 'result', result } satisfies Answer, buffersOf(result) as ArrayBuffer[]);
    } catch (error) {
      port.postMessage({ id, type: 'error', ...describeError(error) } satisfies Answer);
    }
  });
  port.unref();
}

function perform(session: Session, request: Request, tellAccepted: () => void): Promise<unknown> {
  if (request.type === 'profile') return session.profile();
  if (request.type === 'close') return session.close();
  if (request.type === 'submit') {
    const { program, priority, reads } = request;
    const replay = session.submit(
      program,
      priority,
      reads.map((name) => session.value(name)),
    );
    replay.accepted.then(tellAccepted, () => {});
    return replay.done;
  }
  const value = session.value(request.value);
  return request.type === 'read'
    ? session.read(value, request.offset, request.length)
    : session.write(value, request.data, request.offset);
}

/** The memory of copies, which moves to the other thread. */
function buffersOf(result: unknown): ArrayBufferLike[] {
  if (ArrayBuffer.isView(result)) return [result.buffer];
  const { values } = (result ?? {}) as { values?: unknown };
  return Array.isArray(values) ? values.map(({ buffer }: HostArray) => buffer) : [];
}

/** A session that lives in another thread. */
export class RemoteSession implements Session {
  readonly plan: MemoryPlan;
  readonly #owned: boolean;
  readonly #port: MessagePort;
  readonly #client: Client;
  readonly #values: ReadonlyMap<string, Value>;

  /** @param owned whether `close` ends the session, or only leaves it */
  constructor(port: MessagePort, module: Module, plan: MemoryPlan, owned: boolean) {
    this.plan = plan;
    this.#owned = owned;
    this.#port = port;
    this.#client = new Client(port, 'the session is closed, or the thread that owns it is gone');
    this.#values = new Map(module.values.map((value) => [value.name, value]));
  }

  /** The session of another thread that gave the handle. */
  static join({ device, payload }: SessionHandle, module: Module, plan: MemoryPlan): RemoteSession {
    if (device !== 'webgpu')
      throw new Error(`Expected a session of the webgpu device, found one of ${device}`);
    return new RemoteSession(payload as MessagePort, module, plan, false);
  }

  value(name: string): Value {
    const value = this.#values.get(name);
    if (!value) throw new Error(`Expected a value named ${name} in the module; it has none`);
    return value;
  }

  write({ name }: Value, data: HostArray, offset = 0): Promise<void> {
    return this.#ask<void>({ type: 'write', value: name, data, offset }).done;
  }

  read({ name }: Value, offset = 0, length?: number): Promise<HostArray> {
    return this.#ask<HostArray>({ type: 'read', value: name, offset, length }).done;
  }

  async run(program: string, priority = 0): Promise<RunStats> {
    return (await this.submit(program, priority, []).done).stats;
  }

  submit(program: string, priority: number, reads: readonly Value[]): Replay {
    return this.#ask({ type: 'submit', program, priority, reads: reads.map(({ name }) => name) });
  }

  profile(): Promise<OpProfile[]> {
    return this.#ask<OpProfile[]>({ type: 'profile' }).done;
  }

  handle(): SessionHandle {
    this.#client.throwIfClosed();
    const { port1, port2 } = new MessageChannel();
    this.#port.postMessage({ type: 'connect', port: port1 } satisfies Message, [port1]);
    return { device: 'webgpu', payload: port2, transfer: [port2] };
  }

  async close(): Promise<void> {
    // The port closes with the session, perhaps before the answer has come through.
    if (this.#owned) await this.#ask({ type: 'close' }).done.catch(() => {});
    this.#client.close('the session is closed');
  }

  #ask<T>(request: Request) {
    return this.#client.ask<T>((id) => ({ type: 'ask', id, request }) satisfies Message);
  }
}
