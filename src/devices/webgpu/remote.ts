import { MessageChannel, type MessagePort } from 'node:worker_threads';
import type { MemoryPlan } from '../../program/plan.js';
import type { Module, Value } from '../../program/types.js';
import type { HostArray, OpProfile, RunStats, Session, SessionHandle } from '../device.js';

/** What another thread may ask of a session. Values go by name. */
type Request =
  | { readonly type: 'write'; readonly value: string; readonly data: HostArray; readonly offset: number }
  | { readonly type: 'read'; readonly value: string }
  | { readonly type: 'run'; readonly program: string; readonly priority: number }
  | { readonly type: 'profile' };

/** `id` pairs a request with its answer. `connect` has none: one more thread joins through `port`. */
type Message =
  | { readonly type: 'ask'; readonly id: number; readonly request: Request }
  | { readonly type: 'connect'; readonly port: MessagePort };

type Answer =
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly error: string };

/** Answers requests for `session` that come through `port`, which joins `ports`, until either side closes it. */
export function serve(session: Session, port: MessagePort, ports: MessagePort[]): void {
  ports.push(port);
  port.on('message', async (message: Message) => {
    if (message.type === 'connect') return serve(session, message.port, ports);
    const { id, request } = message;
    try {
      const result = await perform(session, request);
      const moved = ArrayBuffer.isView(result) ? [result.buffer as ArrayBuffer] : [];
      port.postMessage({ id, result } satisfies Answer, moved);
    } catch (error) {
      port.postMessage({
        id,
        error: error instanceof Error ? error.message : String(error),
      } satisfies Answer);
    }
  });
  port.unref();
}

function perform(session: Session, request: Request): Promise<unknown> {
  if (request.type === 'run') return session.run(request.program, request.priority);
  if (request.type === 'profile') return session.profile();
  const value = session.value(request.value);
  return request.type === 'read' ? session.read(value) : session.write(value, request.data, request.offset);
}

/** A session that another thread owns. `close` leaves it; it goes on there. */
export class RemoteSession implements Session {
  readonly plan: MemoryPlan;
  readonly #port: MessagePort;
  readonly #values: ReadonlyMap<string, Value>;
  readonly #pending = new Map<number, { resolve: (result: never) => void; reject: (error: Error) => void }>();
  #next = 0;
  #closed: Error | undefined;

  constructor(port: MessagePort, module: Module, plan: MemoryPlan) {
    this.plan = plan;
    this.#port = port;
    this.#values = new Map(module.values.map((value) => [value.name, value]));
    port.on('message', (answer: Answer) => this.#settle(answer));
    port.on('close', () => this.#abandon('the session is closed, or the thread that owns it is gone'));
    port.unref();
  }

  value(name: string): Value {
    const value = this.#values.get(name);
    if (!value) throw new Error(`Expected a value named ${name} in the module; it has none`);
    return value;
  }

  write({ name }: Value, data: HostArray, offset = 0): Promise<void> {
    return this.#ask({ type: 'write', value: name, data, offset });
  }

  read({ name }: Value): Promise<HostArray> {
    return this.#ask({ type: 'read', value: name });
  }

  run(program: string, priority = 0): Promise<RunStats> {
    return this.#ask({ type: 'run', program, priority });
  }

  profile(): Promise<OpProfile[]> {
    return this.#ask({ type: 'profile' });
  }

  handle(): SessionHandle {
    if (this.#closed) throw this.#closed;
    const { port1, port2 } = new MessageChannel();
    this.#port.postMessage({ type: 'connect', port: port1 } satisfies Message, [port1]);
    return { device: 'webgpu', payload: port2, transfer: [port2] };
  }

  async close(): Promise<void> {
    this.#port.close();
    this.#abandon('the session is closed');
  }

  #ask<T>(request: Request): Promise<T> {
    if (this.#closed) return Promise.reject(this.#closed);
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject });
      this.#port.ref();
      this.#port.postMessage({ type: 'ask', id, request } satisfies Message);
    });
  }

  #settle(answer: Answer): void {
    const waiting = this.#pending.get(answer.id);
    this.#pending.delete(answer.id);
    if (this.#pending.size === 0) this.#port.unref();
    if ('error' in answer) waiting?.reject(new Error(answer.error));
    else waiting?.resolve(answer.result as never);
  }

  #abandon(cause: string): void {
    this.#closed ??= new Error(cause);
    for (const { reject } of this.#pending.values()) reject(this.#closed);
    this.#pending.clear();
  }
}
