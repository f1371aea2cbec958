import type { MessagePort } from 'node:worker_threads';
import { DeviceLostError, InputError } from '../../base/errors.js';
import type { Compiling, TellCompiling } from '../device.js';

/** What comes back for a request: `progress` any number of times, `accepted` at most once, then one of the others. */
export type Answer =
  | { readonly id: number; readonly type: 'progress'; readonly progress: Compiling }
  | { readonly id: number; readonly type: 'accepted' }
  | { readonly id: number; readonly type: 'result'; readonly result: unknown }
  | { readonly id: number; readonly type: 'error'; readonly name: string; readonly message: string };

/** Errors keep their kind across threads. */
export function describeError(error: unknown): { name: string; message: string } {
  const { name, message } = error instanceof Error ? error : new Error(String(error));
  return { name, message };
}

function revived({ name, message }: { name: string; message: string }): Error {
  if (name === 'InputError') return new InputError(message);
  return name === 'DeviceLostError' ? new DeviceLostError(message) : new Error(message);
}

/** `accepted`, or `done` where that comes first; who waits for `done` alone misses no error by not looking here. */
export function settled(accepted: Promise<unknown>, done: Promise<unknown>): Promise<void> {
  const either = Promise.race([accepted, done]).then(() => {});
  either.catch(() => {});
  return either;
}

interface Pending {
  readonly tell: TellCompiling | undefined;
  readonly accept: () => void;
  readonly resolve: (result: never) => void;
  readonly reject: (error: Error) => void;
}

/** Requests over one port. The port keeps the thread alive only while an answer is due. */
export class Client {
  readonly #port: MessagePort;
  readonly #pending = new Map<number, Pending>();
  #next = 0;
  #closed: Error | undefined;

  /** @param gone what to tell when the other side has closed the port */
  constructor(port: MessagePort, gone: string) {
    this.#port = port;
    port.on('message', (answer: Answer) => this.#settle(answer));
    port.on('close', () => this.#abandon(gone));
    port.unref();
  }

  /**
   * @param message makes the request with the id its answers will carry
   * @param tell hears of its progress
   */
  ask<T>(message: (id: number) => object, tell?: TellCompiling) {
    if (this.#closed) {
      const done = Promise.reject<T>(this.#closed);
      return { accepted: settled(done, done), done };
    }
    const id = this.#next++;
    let accept = () => {};
    const accepted = new Promise<void>((resolve) => {
      accept = resolve;
    });
    const done = new Promise<T>((resolve, reject) => {
      this.#pending.set(id, { tell, accept, resolve, reject });
      this.#port.ref();
      this.#port.postMessage(message(id));
    });
    return { accepted: settled(accepted, done), done };
  }

  throwIfClosed(): void {
    if (this.#closed) throw this.#closed;
  }

  close(cause: string): void {
    this.#port.close();
    this.#abandon(cause);
  }

  #settle(answer: Answer): void {
    const waiting = this.#pending.get(answer.id);
    if (answer.type === 'progress') {
      waiting?.tell?.(answer.progress);
      return;
    }
    if (answer.type === 'accepted') {
      waiting?.accept();
      return;
    }
    this.#pending.delete(answer.id);
    if (this.#pending.size === 0) this.#port.unref();
    if (answer.type === 'error') waiting?.reject(revived(answer));
    else waiting?.resolve(answer.result as never);
  }

  #abandon(cause: string): void {
    this.#closed ??= new Error(cause);
    for (const { reject } of this.#pending.values()) reject(this.#closed);
    this.#pending.clear();
  }
}
