/** A job that has waited this long goes before everything else, so that an evaluation never starves. */
const STARVING_MS = 1000;

interface Job {
  readonly priority: number;
  readonly arrived: number;
  readonly start: (waitMs: number) => Promise<void>;
}

/** Runs jobs, `depth` at a time: the lowest priority first, among equals the first to come. */
export class RunQueue {
  readonly #jobs: Job[] = [];
  readonly #depth: number;
  #running = 0;

  constructor(depth = 1) {
    this.#depth = depth;
  }

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
    if (this.#running >= this.#depth || this.#jobs.length === 0) return;
    this.#running++;
    setImmediate(async () => {
      if (this.#jobs.length === 0) {
        this.#running--;
        return;
      }
      const now = performance.now();
      const rank = ({ priority, arrived }: Job) =>
        now - arrived > STARVING_MS ? Number.NEGATIVE_INFINITY : priority;
      const next = this.#jobs.reduce((best, job) => (rank(job) < rank(best) ? job : best));
      this.#jobs.splice(this.#jobs.indexOf(next), 1);
      const over = next.start(now - next.arrived);
      this.#pump();
      await over;
      this.#running--;
      this.#pump();
    });
  }
}
