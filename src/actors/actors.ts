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
  readonly #taken: ({ readonly thread: Thread } & ReturnType<typeof createIn>)[] = [];
  /** Ends what waits for a death: threads and devices outlive a run. */
  readonly #unwatch: (() => void)[] = [];
  #hasEnded = false;
  readonly #died: Promise<never>;
  #die: (error: Error) => void = () => {};

  constructor(devices: readonly DeviceHost[], threads: Threads) {
    this.#threads = threads;
    this.#died = new Promise((_, reject) => {
      this.#die = reject;
    });
    this.#died.catch(() => {});
    for (const { failed } of devices) this.#watch(failed, ({ message }) => this.#bury('device', message));
  }

  /** Makes the actor in `NAME.js` and gives it its setup; resolves once it is ready. */
  async start<T>(name: string, setup: object): Promise<Comlink.Remote<T>> {
    const thread = this.#threads.take(name);
    const created = createIn(thread);
    const { remote } = created;
    this.#taken.push({ thread, ...created });
    this.#watch(thread.died, (cause) => this.#bury(name, cause));
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
    for (const unwatch of this.#unwatch) unwatch();
    for (const { letGo } of this.#taken) letGo();
    if (this.#hasEnded) for (const { thread } of this.#taken) this.#threads.giveBack(thread);
    else await Promise.all(this.#taken.map(({ thread }) => thread.close()));
  }

  #watch<T>(death: Promise<T>, hears: (cause: T) => void): void {
    this.#unwatch.push(whenResolved(death, hears));
  }

  #bury(name: string, cause: string): void {
    this.#die(new RunError(`${placed(name, this.doing)}: ${cause}`));
  }
}

const createIn = (thread: Thread) => thread.create<Actor>();

/** Until it is ended. A promise that stays open keeps whoever waits for it, so it is given no more than this. */
function whenResolved<T>(promise: Promise<T>, hears: (value: T) => void): () => void {
  const listener: { hears?: typeof hears } = { hears };
  void promise.then((value) => listener.hears?.(value));
  return () => {
    delete listener.hears;
  };
}

/** The ports directly in a setup, in its device connection or in its session's handle: all must be transferred. */
function portsOf(setup: object): MessagePort[] {
  const { device, session } = setup as { device?: DeviceConnection; session?: SessionHandle };
  const ports: unknown[] = [...Object.values(setup), device?.port, ...(session?.transfer ?? [])];
  return ports.filter((value): value is MessagePort => value?.constructor?.name === 'MessagePort');
}
