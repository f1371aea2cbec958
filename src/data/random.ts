/**
 * Counter-based randomness: a number is a pure function of (seed, stream, counter), so that nothing but the counter
 * has to be saved for a resume.
 */

/**
 * The numbers of a stream, uniform integers in [0, 2^32), by their counter (32 bits). `seed` and `stream` may have up to
 * 53 bits. Streams are independent: the second key makes different numbers of the same place in the first one's
 * sequence, as in the hash of dropout (src/program/ops/dropout.ts).
 */
export function randomStream(seed: number, stream: number): (counter: number) => number {
  const key = absorb(absorb(0x9e3779b9, seed), stream);
  const second = absorb(absorb(0x85ebca6b, seed), stream);
  return (counter) => mix(mix(key + Math.imul(counter, 0x9e3779b9)) ^ second);
}

/**
 * A uniform integer in [0, 2^32), for orders and choices alone: streams are one sequence, entered at different places, so
 * that long ones may share numbers. The orders of runs that were begun before `randomStream` depend on it.
 */
export function randomUint32(seed: number, stream: number, counter: number): number {
  const key = absorb(absorb(0x9e3779b9, seed), stream);
  return mix(key + Math.imul(counter, 0x9e3779b9));
}

/** A uniform permutation of 0 .. length - 1 (Fisher-Yates). */
export function permutation(length: number, seed: number, stream: number): Uint32Array {
  const order = Uint32Array.from({ length }, (_, i) => i);
  for (let i = length - 1; i > 0; i--) {
    const j = Math.floor((randomUint32(seed, stream, i) / 2 ** 32) * (i + 1));
    const swapped = order[i]!;
    order[i] = order[j]!;
    order[j] = swapped;
  }
  return order;
}

/** A seed of up to 53 bits as one of 32, for hashes on devices: itself where it fits. */
export const shortSeed = (seed: number): number => (seed < 2 ** 32 ? seed : randomUint32(seed, 0, 0));

function absorb(state: number, value: number): number {
  return mix(mix(state ^ (value | 0)) + Math.floor(value / 2 ** 32));
}

/** A bijection of 32-bit integers in which every input bit flips each output bit half the time (lowbias32, C. Wellons). */
function mix(value: number): number {
  let x = value | 0;
  x = Math.imul(x ^ (x >>> 16), 0x7feb352d);
  x = Math.imul(x ^ (x >>> 15), 0x846ca68b);
  return (x ^ (x >>> 16)) >>> 0;
}
