import type { Session } from '../devices/device.js';
import { type Part, partsOf, runOf, sumOfParts } from '../model/gradientTree.js';
import { elementCount, type Value } from '../program/types.js';
import type { Channel, Place } from '../world/world.js';

/** Who shares a batch, and of how many micro-batches it is. */
export interface Sharing {
  readonly place: Pick<Place, 'rank' | 'size'>;
  readonly microBatches: number;
}

/** Of a batch, what this rank adds up: nodes of the tree over all its micro-batches. */
export const ownParts = ({ place: { rank, size }, microBatches }: Sharing): Part[] =>
  partsOf(runOf(rank, size, microBatches), microBatches);

/** Bytes of gradients of `elements` numbers that a rank sends in a step, and what it holds to add them up. */
export function exchangedBytes(
  sharing: Sharing,
  elements: number,
): { readonly sent: number; readonly held: number } {
  const { rank, size } = sharing.place;
  if (size === 1) return { sent: 0, held: 0 };
  const slice = runOf(rank, size, elements).count;
  const parts = Array.from(
    { length: size },
    (_, i) => ownParts({ ...sharing, place: { rank: i, size } }).length,
  );
  const others = elements - slice;
  return {
    sent: 4 * (parts[rank]! * others + slice * (size - 1)),
    held: 4 * (elements + sumOf(parts) * slice),
  };
}

/**
 * Adds up the gradients of a batch that several ranks share. Each has the sums of a few parts of the batch's tree
 * (gradientTree.ts). A gradient is cut into a slice for each rank; all send the slices of their parts to the slices'
 * owners (Alltoallv, a round for the first parts of all ranks, one for the second ones ...), who add them up in the tree's
 * order; the sums go to all (Allgatherv). So the bits don't depend on the number of ranks, and with a part a rank the bytes
 * are those of a ring's all-reduce.
 */
export class GradientExchange {
  readonly #session: Session;
  readonly #gradients: readonly Value[];
  readonly #channel: Channel;
  readonly #sharing: Sharing;
  /** Of each rank. */
  readonly #parts: readonly (readonly Part[])[];
  /** Elements of each rank's slice. */
  readonly #slices: readonly number[];
  /** A gradient in one piece: that of the part at hand, at last that of the batch. */
  readonly #whole: Float32Array;
  /** By round, this rank's slice of the parts that are sent in it, by rank. */
  readonly #received: readonly { readonly data: Float32Array; readonly counts: readonly number[] }[];
  #rounds: Promise<void>[] = [];

  constructor(session: Session, gradients: ReadonlyMap<string, Value>, channel: Channel, sharing: Sharing) {
    this.#session = session;
    this.#gradients = [...gradients.values()];
    this.#channel = channel;
    this.#sharing = sharing;
    const { rank, size } = sharing.place;
    const elements = this.#gradients.reduce((sum, { shape }) => sum + elementCount(shape), 0);
    const ranks = Array.from({ length: size }, (_, i) => i);
    this.#parts = ranks.map((i) => ownParts({ ...sharing, place: { rank: i, size } }));
    this.#slices = ranks.map((i) => runOf(i, size, elements).count);
    this.#whole = shared(elements);
    this.#received = Array.from(
      { length: Math.max(...this.#parts.map(({ length }) => length)) },
      (_, round) => {
        const counts = this.#parts.map(({ length }) => (length > round ? this.#slices[rank]! : 0));
        return { data: shared(sumOf(counts)), counts };
      },
    );
  }

  /** Sends the gradient on the device, the sum of this rank's next part; the device's is 0 then. */
  async send(step: number): Promise<void> {
    // The part before lies where this one will.
    await this.#rounds.at(-1);
    let at = 0;
    for (const value of this.#gradients) {
      const sum = (await this.#session.read(value)) as Float32Array;
      this.#whole.set(sum, at);
      at += sum.length;
      await this.#session.write(value, new Float32Array(sum.length));
    }
    this.#begin({ data: this.#whole, counts: this.#slices }, step);
  }

  /** Takes part in the rounds of those who have more parts. */
  endRounds(step: number): void {
    const counts = this.#slices.map(() => 0);
    while (this.#rounds.length < this.#received.length) this.#begin({ data: shared(0), counts }, step);
  }

  /** Once all parts are on their way: leaves the sum of all on the device of each rank. */
  async finish(step: number): Promise<void> {
    await Promise.all(this.#rounds);
    this.#rounds = [];
    const { place, microBatches } = this.#sharing;
    const first = sumOf(this.#slices.slice(0, place.rank));
    this.#whole.set(sumOfParts(this.#parts.flat(), this.#ownSlices(), microBatches), first);
    await this.#channel.complete({ data: this.#whole, counts: this.#slices }, `step ${step}: gradients`);
    let at = 0;
    for (const value of this.#gradients) {
      const end = at + elementCount(value.shape);
      // A copy, out of the shared memory: GPUs take none from there.
      await this.#session.write(value, this.#whole.slice(at, end));
      at = end;
    }
  }

  #begin(sent: { readonly data: Float32Array; readonly counts: readonly number[] }, step: number): void {
    const round = this.#channel.exchange(
      sent,
      this.#received[this.#rounds.length]!,
      `step ${step}: gradients`,
    );
    round.catch(() => {});
    this.#rounds.push(round);
  }

  /** This rank's slice of every part, in order of the parts. */
  #ownSlices(): Float32Array[] {
    const size = this.#slices[this.#sharing.place.rank]!;
    const places = this.#received.map(() => 0);
    return this.#parts.flatMap((parts) =>
      parts.map((_, round) => {
        const at = places[round]!;
        places[round] = at + size;
        return this.#received[round]!.data.subarray(at, at + size);
      }),
    );
  }
}

const sumOf = (counts: readonly number[]): number => counts.reduce((a, b) => a + b, 0);

const shared = (elements: number): Float32Array =>
  new Float32Array(new SharedArrayBuffer(elements * Float32Array.BYTES_PER_ELEMENT));
