/**
 * The words through which the threads of a pool meet, in one SharedArrayBuffer of 32-bit integers. Thread 0 leads:
 * it writes a command, and all threads run the same kernel calls in lock-step.
 */
const WORD = {
  /** 0, or 1 + the index of the thread that failed: nobody waits for anybody after that. */
  poison: 0,
  /** Threads that have reached the current barrier. */
  arrived: 1,
  /** Barriers passed. */
  generation: 2,
  /** Commands given. */
  command: 3,
  /** The command: session, program, first call, last call + 1. */
  session: 4,
  program: 5,
  from: 6,
  to: 7,
  /** Next free tile, for even and odd kernel calls (a cache line apart). */
  tile: 16,
} as const;
const TILE_STRIDE = 16;
const BYTES = (WORD.tile + 2 * TILE_STRIDE) * 4;

/** A thread that waits wakes up this often to look for poison. */
const POISON_CHECK_MS = 100;

export interface Command {
  readonly session: number;
  readonly program: number;
  readonly from: number;
  readonly to: number;
}

export class Control {
  readonly buffer: SharedArrayBuffer;
  readonly #words: Int32Array;
  readonly #threads: number;
  readonly #spins: number;

  /** @param spins looks at a barrier before the thread sleeps; fewer when threads outnumber cores. */
  constructor(threads: number, spins: number, buffer = new SharedArrayBuffer(BYTES)) {
    this.buffer = buffer;
    this.#words = new Int32Array(buffer);
    this.#threads = threads;
    this.#spins = spins;
  }

  /** Tells every thread that `thread` is dead, so that none waits for it. False when another one was before. */
  poison(thread: number): boolean {
    const before = Atomics.compareExchange(this.#words, WORD.poison, 0, thread + 1);
    Atomics.notify(this.#words, WORD.generation);
    Atomics.notify(this.#words, WORD.command);
    return before === 0;
  }

  get isPoisoned(): boolean {
    return Atomics.load(this.#words, WORD.poison) !== 0;
  }

  throwIfPoisoned(): void {
    const poison = Atomics.load(this.#words, WORD.poison);
    if (poison !== 0) throw new Error(`compute thread ${poison - 1} has died`);
  }

  /** Leader: hands out a command. */
  give({ session, program, from, to }: Command): void {
    const words = this.#words;
    words[WORD.session] = session;
    words[WORD.program] = program;
    words[WORD.from] = from;
    words[WORD.to] = to;
    Atomics.add(words, WORD.command, 1);
    Atomics.notify(words, WORD.command);
  }

  /** Follower: sleeps until the number of commands given is not `seen`; returns the command and the new number. */
  await(seen: number): { command: Command; seen: number } {
    const words = this.#words;
    this.#waitWhile(WORD.command, seen);
    const command = {
      session: words[WORD.session]!,
      program: words[WORD.program]!,
      from: words[WORD.from]!,
      to: words[WORD.to]!,
    };
    return { command, seen: Atomics.load(words, WORD.command) };
  }

  /** The next tile of kernel call `index` of the current program. */
  nextTile(index: number): number {
    return Atomics.add(this.#words, WORD.tile + (index & 1) * TILE_STRIDE, 1);
  }

  /** Waits until all threads have finished kernel call `index`; the last one frees its tile counter. */
  barrier(index: number): void {
    const words = this.#words;
    const generation = Atomics.load(words, WORD.generation);
    if (Atomics.add(words, WORD.arrived, 1) === this.#threads - 1) {
      Atomics.store(words, WORD.arrived, 0);
      Atomics.store(words, WORD.tile + (index & 1) * TILE_STRIDE, 0);
      Atomics.add(words, WORD.generation, 1);
      Atomics.notify(words, WORD.generation);
      return;
    }
    this.#waitWhile(WORD.generation, generation);
  }

  #waitWhile(word: number, value: number): void {
    const words = this.#words;
    for (let spin = 0; spin < this.#spins; spin++) if (Atomics.load(words, word) !== value) return;
    while (Atomics.load(words, word) === value) {
      this.throwIfPoisoned();
      Atomics.wait(words, word, value, POISON_CHECK_MS);
    }
    this.throwIfPoisoned();
  }
}
