const WORDS = 624;
const SHIFT = 397;
const UPPER = 0x80000000;
const LOWER = 0x7fffffff;
const MATRIX = 0x9908b0df;

/**
 * CPython's `random.Random(seed)`: the Mersenne Twister MT19937, and what `sample` makes of its bits. Draws are those of
 * CPython 3.11 and later, to the last one.
 */
export class PythonRandom {
  readonly #state = new Uint32Array(WORDS);
  #next = WORDS;

  /** @param seed a whole number from 0 to 2^32 - 1 */
  constructor(seed: number) {
    const state = this.#state;
    seedWith(state, 19650218);
    // init_by_array with the one key.
    let i = 1;
    for (let k = 0; k < WORDS; k++) {
      state[i] = (state[i]! ^ Math.imul(mixed(state[i - 1]!), 1664525)) + seed;
      i = advanced(state, i);
    }
    for (let k = 0; k < WORDS - 1; k++) {
      state[i] = (state[i]! ^ Math.imul(mixed(state[i - 1]!), 1566083941)) - i;
      i = advanced(state, i);
    }
    state[0] = UPPER;
  }

  /** 32 bits, as a number from 0. */
  bits(): number {
    if (this.#next === WORDS) this.#twist();
    let y = this.#state[this.#next++]!;
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  }

  /** A whole number from 0 to n - 1, n from 1 to 2^31: as many bits as n has are drawn until they are below it. */
  below(n: number): number {
    const shift = Math.clz32(n);
    let drawn = this.bits() >>> shift;
    while (drawn >= n) drawn = this.bits() >>> shift;
    return drawn;
  }

  /** `sample(range(n), k)`: k different numbers below n, 0 <= k <= n. */
  sample(n: number, k: number): number[] {
    return n <= setSize(k) ? this.#sampleOfPool(n, k) : this.#sampleOfSet(n, k);
  }

  #sampleOfPool(n: number, k: number): number[] {
    const pool = Array.from({ length: n }, (_, i) => i);
    return Array.from({ length: k }, (_, i) => {
      const drawn = this.below(n - i);
      const chosen = pool[drawn]!;
      pool[drawn] = pool[n - i - 1]!;
      return chosen;
    });
  }

  #sampleOfSet(n: number, k: number): number[] {
    const chosen = new Set<number>();
    while (chosen.size < k) chosen.add(this.below(n));
    return [...chosen];
  }

  #twist(): void {
    const state = this.#state;
    for (let i = 0; i < WORDS; i++) {
      const y = (state[i]! & UPPER) | (state[(i + 1) % WORDS]! & LOWER);
      state[i] = state[(i + SHIFT) % WORDS]! ^ (y >>> 1) ^ (y & 1 ? MATRIX : 0);
    }
    this.#next = 0;
  }
}

const mixed = (word: number): number => word ^ (word >>> 30);

function seedWith(state: Uint32Array, seed: number): void {
  state[0] = seed;
  for (let i = 1; i < WORDS; i++) state[i] = Math.imul(mixed(state[i - 1]!), 1812433253) + i;
}

/** The word after `i`; behind the last one comes the second, with the first a copy of the last. */
function advanced(state: Uint32Array, i: number): number {
  if (i + 1 < WORDS) return i + 1;
  state[0] = state[WORDS - 1]!;
  return 1;
}

/** Up to how many numbers `sample` keeps a list of all of them, instead of a set of those drawn. */
const setSize = (k: number): number => (k > 5 ? 21 + 4 ** Math.ceil(Math.log(3 * k) / Math.log(4)) : 21);
