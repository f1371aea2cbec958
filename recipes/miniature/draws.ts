import { randomUint32 } from '#src/data/random.js';

/** A sequence of random choices: its n-th draw is a pure function of (seed, stream, n). */
export class Draws {
  readonly #seed: number;
  readonly #stream: number;
  #count = 0;

  constructor(seed: number, stream: number) {
    this.#seed = seed;
    this.#stream = stream;
  }

  /** Uniform in [0, 1). */
  unit(): number {
    return randomUint32(this.#seed, this.#stream, this.#count++) / 2 ** 32;
  }

  /** A uniform integer from `low` to `high`, both included. */
  between(low: number, high: number): number {
    return low + Math.floor(this.unit() * (high - low + 1));
  }

  chance(probability: number): boolean {
    return this.unit() < probability;
  }

  pick<T>(items: readonly T[]): T {
    return items[Math.floor(this.unit() * items.length)]!;
  }

  /** Earlier items are likelier, as words are in a language: item i has probability about (i / n)^-0.4. */
  pickSkewed<T>(items: readonly T[]): T {
    return items[Math.floor(this.unit() ** 1.7 * items.length)]!;
  }

  /** `count` different items, earlier ones likelier, in random order. */
  several<T>(items: readonly T[], count: number): T[] {
    const chosen = new Set<T>();
    while (chosen.size < count) chosen.add(this.pickSkewed(items));
    return [...chosen];
  }

  /** The items in random order. */
  shuffled<T>(items: readonly T[]): T[] {
    const left = [...items];
    return items.map(() => left.splice(Math.floor(this.unit() * left.length), 1)[0]!);
  }

  /** A key with a probability in proportion to its weight. */
  weighted<K extends string>(weights: Readonly<Record<K, number>>): K {
    const entries = Object.entries<number>(weights) as [K, number][];
    let rest = this.unit() * entries.reduce((sum, [, weight]) => sum + weight, 0);
    for (const [key, weight] of entries) {
      rest -= weight;
      if (rest < 0) return key;
    }
    return entries.at(-1)![0];
  }
}
