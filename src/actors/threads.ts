import { spawn, type Thread } from './actor.js';

/** The threads of actors. Those whose actor has ended serve the next run, which need not start them again. */
export class Threads {
  readonly #idle: Thread[] = [];

  /** A thread for the actor in `NAME.js`. */
  take(name: string): Thread {
    const idle = this.#idle.findIndex((thread) => thread.name === name);
    if (idle >= 0) return this.#idle.splice(idle, 1)[0]!;
    return spawn(name, new URL(`./${name}.js`, import.meta.url));
  }

  /** @param thread that lives, and whose actor has ended */
  giveBack(thread: Thread): void {
    this.#idle.push(thread);
  }

  /** Ends all that nobody has taken. */
  async close(): Promise<void> {
    await Promise.all(this.#idle.splice(0).map((thread) => thread.close()));
  }
}
