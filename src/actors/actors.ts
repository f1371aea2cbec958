import type { MessagePort } from 'node:worker_threads';
import * as Comlink from 'comlink';
import { RunError } from '../base/errors.js';
import type { SessionHandle } from '../devices/device.js';
import type { DeviceConnection, DeviceHost } from '../devices/host.js';
import { type Actor, named, placed, spawn } from './actor.js';

interface Startable {
  start(setup: object): Promise<void>;
}

/** The actors of a run; when one of them or the device dies, everything guarded rejects. */
export class Actors {
  /** What the run is at, for errors. */
  doing = 'start';
  readonly #actors: Actor<unknown>[] = [];
  readonly #died: Promise<never>;
  #die: (error: Error) => void = () => {};

  constructor(devices: readonly DeviceHost[]) {
    this.#died = new Promise((_, reject) => {
      this.#die = reject;
    });
    this.#died.catch(() => {});
    for (const { failed } of devices) void failed.then(({ message }) => this.#bury('device', message));
  }

  /** Spawns the actor in `NAME.js` and gives it its setup; resolves once it is ready. */
  async start<T>(name: string, setup: object): Promise<Comlink.Remote<T>> {
    const actor = spawn<T>(name, new URL(`./${name}.js`, import.meta.url));
    this.#actors.push(actor as Actor<unknown>);
    void actor.died.then((cause) => this.#bury(name, cause));
    const remote = actor.remote as unknown as Startable;
    const start = () => remote.start(Comlink.transfer(setup, portsOf(setup)));
    await named(name, () => this.doing, start);
    return actor.remote;
  }

  guard<T>(work: Promise<T>): Promise<T> {
    return Promise.race([work, this.#died]);
  }

  async close(): Promise<void> {
    await Promise.all(this.#actors.map((actor) => actor.close()));
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
