import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { RunError } from '../base/errors.js';
import { type ActorName, aloneChannel, type Channel, type World } from './world.js';

/** A call of a channel on its way to where the channel is. */
export interface Call {
  readonly id: number;
  readonly method: keyof Channel;
  readonly args: readonly unknown[];
}

export type Answer =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly failed: string };

/** Lies in a port before it is handed on: wakes a thread that sleeps, and sees its ports only when it looks. */
export interface Bell {
  readonly bell: Int32Array;
}

export function ring(bell: Int32Array): void {
  Atomics.add(bell, 0, 1);
  Atomics.notify(bell, 0);
}

/** The channel behind a port that came from another thread; without one, that of a process alone. */
export const channelAt = (port: MessagePort | undefined): Channel =>
  port ? new PortChannel(port) : aloneChannel;

/** The port of an actor's channel. */
export const portOf = (world: Pick<World, 'port'>, name: ActorName): MessagePort | undefined =>
  world.port(name) as MessagePort | undefined;

/** Offers a channel at a port, for another thread. */
export function offerChannel(channel: Channel, port: MessagePort): void {
  port.on('message', async ({ id, method, args }: Call) => {
    port.postMessage(
      await (channel[method] as (...args: readonly unknown[]) => Promise<unknown>)(...args).then(
        (value): Answer => ({ id, value }),
        (error: Error): Answer => ({ id, failed: error.message }),
      ),
    );
  });
}

interface Pending {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

class PortChannel implements Channel {
  readonly #port: MessagePort;
  readonly #bell: Int32Array | undefined;
  readonly #pending = new Map<number, Pending>();
  #calls = 0;
  #isClosed = false;

  constructor(port: MessagePort) {
    this.#port = port;
    this.#bell = (receiveMessageOnPort(port)?.message as Bell | undefined)?.bell;
    port.on('message', (answer: Answer) => this.#settle(answer));
    port.on('close', () => this.#close());
    // What waits for others keeps a thread alive, an idle channel does not.
    port.unref();
  }

  gather<T>(own: T, doing: string | undefined) {
    return this.#call('gather', own, doing) as Promise<readonly T[]>;
  }

  exchange(...args: Parameters<Channel['exchange']>) {
    return this.#call('exchange', ...args) as Promise<void>;
  }

  complete(...args: Parameters<Channel['complete']>) {
    return this.#call('complete', ...args) as Promise<void>;
  }

  async #call(method: keyof Channel, ...args: readonly unknown[]): Promise<unknown> {
    if (this.#isClosed) throw gone();
    const id = this.#calls++;
    this.#port.postMessage({ id, method, args } satisfies Call);
    if (this.#bell) ring(this.#bell);
    this.#port.ref();
    return new Promise((resolve, reject) => this.#pending.set(id, { resolve, reject }));
  }

  #settle(answer: Answer): void {
    const pending = this.#pending.get(answer.id)!;
    this.#pending.delete(answer.id);
    if (this.#pending.size === 0) this.#port.unref();
    if ('failed' in answer) pending.reject(new RunError(answer.failed));
    else pending.resolve(answer.value);
  }

  #close(): void {
    this.#isClosed = true;
    for (const { reject } of this.#pending.values()) reject(gone());
    this.#pending.clear();
  }
}

const gone = () => new RunError('expected the other ranks, found that this one has left them');
