import type { MessagePort } from 'node:worker_threads';
import * as Comlink from 'comlink';
import { RunError } from '../base/errors.js';
import type { SessionHandle } from '../devices/device.js';
import type { DeviceConnection, DeviceHost } from '../devices/host.js';
import { named, placed, type Thread } from './actor.js';
import type { Threads } from './threads.js';

/** What every actor can do. */
interface Actor {
  start(setup: object): Promise<void>;
  /** Closes its device and its ports, once the run is over. */
  end(): Promise<void>;
}

/** The actors of a run; when one of them or the device dies, everything guarded rejects. */
export class Actors {
  /** What the run is at, for errors. */
  doing = 'start';
  readonly #threads: Threads;
  readonly #taken: { readonly thread: Thread; readonly remote: Comlink.Remote<Actor> }[] = [];
  #hasEnded = false;
  readonly #died: Promise<never>;
  #die: (error: Error) => void = () => {};

  constructor(devices: readonly DeviceHost[], threads: Threads) {
    this.#threads = threads;
    this.#died = new Promise((_, reject) => {
      this.#die = reject;
    });
    this.#died.catch(() => {});
    for (const { failed } of devices) void failed.then(({ message }) => this.#bury('device', message));
  }

  /** Makes the actor in `NAME.js` and gives it its setup; resolves once it is ready. */
  async start<T>(name: string, setup: object): Promise<Comlink.Remote<T>> {
    const thread = this.#threads.take(name);
    const remote = thread.create<Actor>();
    this.#taken.push({ thread, remote });
    void thread.died.then((cause) => this.#bury(name, cause));
    const start = () => remote.start(Comlink.transfer(setup, portsOf(setup)));
    await named(name, () => this.doing, start);
    return remote as unknown as Comlink.Remote<T>;
  }

  guard<T>(work: Promise<T>): Promise<T> {
    return Promise.race([work, this.#died]);
  }

  /** Of a run that has come to its end: has the actors leave the device, and their threads serve other runs after `close`. */
  async end(): Promise<void> {
    await this.guard(Promise.all(this.#taken.map(({ remote }) => remote.end())));
    this.#hasEnded = true;
  }

  async close(): Promise<void> {
    if (this.#hasEnded) for (const { thread } of this.#taken) this.#threads.giveBack(thread);
    else await Promise.all(this.#taken.map(({ thread }) => thread.close()));
  }

  #bury(name: string, cause: string): void {
    this.#die(new RunError(`${placed(name, this.doing)}: ${cause}`));
  }
}

/** The ports directly in a setup, in its device connection or in its session's handle: all must be transferred. */
function portsOf(setup: object): MessagePort[] {
  const { device, session } = setup as { device?: DeviceConnection; session?: SessionHandle };
  const ports: unknown[] = [...Object.values(setup), device?.port, ...(session?.transfer ?? [])];
  return ports.filter((value): value is MessagePort => value?.constructor?.name === 'MessagePort');
}
