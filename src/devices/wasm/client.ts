import { MessageChannel, type MessagePort } from 'node:worker_threads';
import type { Answer, Connect, Request } from './protocol.js';

type Body<T> = T extends unknown ? Omit<T, 'id'> : never;

/** Requests to the pool over one port, each answered once. The port keeps its thread alive while an answer is due. */
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
    port.on('close', () => this.#abandon('the compute threads are gone'));
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

  /** A port to the same pool, for one more client. */
  connect(): MessagePort {
    const { port1, port2 } = new MessageChannel();
    this.#port.postMessage({ type: 'connect', port: port1 } satisfies Connect, [port1]);
    return port2;
  }

  throwIfClosed(): void {
    if (this.#closed) throw this.#closed;
  }

  /** What is asked for and not answered yet rejects with the cause, and so does what is asked later. */
  close(cause: string): void {
    this.#port.close();
    this.#abandon(cause);
  }

  #settle(answer: Answer): void {
    const waiting = this.#pending.get(answer.id);
    this.#pending.delete(answer.id);
    if (this.#pending.size === 0) this.#port.unref();
    if (answer.type !== 'failed') waiting?.resolve(answer);
    else {
      waiting?.reject(new Error(answer.message));
      if (answer.dead) this.#abandon(answer.message);
    }
  }

  #abandon(cause: string): void {
    this.#closed ??= new Error(cause);
    for (const { reject } of this.#pending.values()) reject(this.#closed);
    this.#pending.clear();
    this.#port.unref();
  }
}
