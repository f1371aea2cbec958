/** A job that has waited this long goes before everything else, so that an evaluation never starves. */
const STARVING_MS = 1000;

interface Job {
  readonly priority: number;
  readonly arrived: number;
  readonly start: (waitMs: number) => Promise<void>;
}

/** Runs jobs one at a time: the lowest priority first, among equals the first to come. */
export class RunQueue {
  readonly #jobs: Job[] = [];
  #busy = false;

  /** @param work gets the time it waited. */
  add<T>(priority: number, work: (waitMs: number) => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const start = (waitMs: number) => work(waitMs).then(resolve, reject);
      this.#jobs.push({ priority, arrived: performance.now(), start });
      this.#pump();
    });
  }

  /** Waits a turn of the event loop, so that whoever was just answered can ask again before the next is chosen. */
  #pump(): void {
    if (this.#busy || this.#jobs.length === 0) return;
    this.#busy = true;
    setImmediate(async () => {
      const now = performance.now();
      const rank = ({ priority, arrived }: Job) =>
        now - arrived > STARVING_MS ? Number.NEGATIVE_INFINITY : priority;
      const next = this.#jobs.reduce((best, job) => (rank(job) < rank(best) ? job : best));
      this.#jobs.splice(this.#jobs.indexOf(next), 1);
      await next.start(now - next.arrived);
      this.#busy = false;
      this.#pump();
    });
  }
}
