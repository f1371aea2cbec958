import { InputError } from '../base/errors.js';

/** Calls that take turns: each begins when the one before it is over, in the order in which they were made. */
export class Turns {
  readonly #owner: string;
  #last: Promise<unknown> = Promise.resolve();
  #end: Promise<void> | undefined;

  /** @param owner whose calls these are, in messages: `the model` */
  constructor(owner: string) {
    this.#owner = owner;
  }

  /** Resolves or rejects as `work` does; a call that fails leaves the next ones as they are. */
  async take<T>(work: () => Promise<T>): Promise<T> {
    if (this.#end)
      throw new InputError(`expected ${this.#owner} to be open, found that ${this.#owner} is closed`);
    const turn = this.#last.then(work);
    this.#last = turn.catch(() => {});
    return turn;
  }

  /** Runs `work` after all calls made so far; those made from now on reject. Does so once, however often it is asked. */
  end(work: () => Promise<void>): Promise<void> {
    this.#end ??= this.#last.then(work);
    return this.#end;
  }
}
