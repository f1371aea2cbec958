import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { offerChannel } from '#src/world/channel.js';
import type { Channel, Parts, World } from '#src/world/world.js';

/** What a rank brings to a meeting, and how it learns what came of it. */
interface Guest {
  /** Undefined: it waits for whatever the others come for. */
  readonly what: string | undefined;
  readonly own: unknown;
  readonly resolve: (all: readonly unknown[]) => void;
  readonly reject: (reason: Error) => void;
}

/**
 * Runs `member` as each rank of a world of `size`, all in this process, and gives what they came to by rank. As under MPI,
 * a rank that fails ends them all: whoever waits for it, or comes later, is told so. Ranks that meet for different
 * purposes fail, and so does one that goes home while others wait for it.
 * @throws what the first rank to fail threw
 */
export async function inWorld<T>(size: number, member: (world: World) => Promise<T>): Promise<T[]> {
  const world = new InMemoryWorld(size);
  return Promise.all(
    Array.from({ length: size }, async (_, rank) => {
      try {
        return await member(world.as(rank));
      } catch (error) {
        world.end(error as Error);
        throw world.failure;
      } finally {
        world.leave(rank);
      }
    }),
  );
}

class InMemoryWorld {
  readonly #size: number;
  readonly #channels = new Map<string, InMemoryChannel>();
  readonly #gone = new Set<number>();
  readonly #ports: MessagePort[] = [];
  /** Why it ended, where it did before all ranks were done. */
  failure: Error | undefined;

  constructor(size: number) {
    this.#size = size;
  }

  as(rank: number): World {
    const hosts = Array.from({ length: this.#size }, () => 'here');
    const port = (name: string): MessagePort => {
      const { port1, port2 } = new MessageChannel();
      offerChannel(this.#channel(name).of(rank), port1);
      this.#ports.push(port1);
      return port2;
    };
    return {
      ...{ rank, size: this.#size, localRank: rank, localSize: this.#size, hosts, library: 'in memory' },
      ...{ channel: this.#channel('main').of(rank), port },
      waitAtMost: () => {},
      leave: async () => this.leave(rank),
      abort: (code) => this.end(new Error(`rank ${rank} ended all with ${code}`)),
    };
  }

  #channel(name: string): InMemoryChannel {
    const found = this.#channels.get(name) ?? new InMemoryChannel(this.#size, this, this.#gone);
    this.#channels.set(name, found);
    return found;
  }

  end(error: Error): void {
    this.failure ??= error;
    for (const channel of this.#channels.values()) channel.end(this.failure);
  }

  leave(rank: number): void {
    this.#gone.add(rank);
    for (const channel of this.#channels.values()) channel.checkComplete();
    if (this.#gone.size === this.#size) for (const port of this.#ports) port.close();
  }
}

/** Where the ranks meet: the nth call of each of them is one meeting. */
class InMemoryChannel {
  readonly #size: number;
  readonly #world: { readonly failure: Error | undefined };
  readonly #gone: ReadonlySet<number>;
  readonly #meetings: Map<number, Guest>[] = [];
  readonly #next: number[];

  constructor(size: number, world: { readonly failure: Error | undefined }, gone: ReadonlySet<number>) {
    this.#size = size;
    this.#world = world;
    this.#gone = gone;
    this.#next = Array.from({ length: size }, () => 0);
  }

  of(rank: number): Channel {
    return {
      gather: async <T>(own: T, doing: string | undefined) =>
        (await this.#meet(rank, doing && `gather ${doing}`, structuredClone(own))) as T[],
      exchange: async (sent, received, doing) => {
        const all = (await this.#meet(rank, `exchange ${doing}`, copied(sent))) as Parts[];
        fill(
          received,
          all.map((parts) => partOf(parts, rank)),
        );
      },
      complete: async (whole, doing) => {
        const all = (await this.#meet(rank, `complete ${doing}`, copied(whole))) as Parts[];
        fill(whole, all.map(partOf));
      },
    };
  }

  async #meet(rank: number, what: string | undefined, own: unknown): Promise<readonly unknown[]> {
    if (this.#world.failure) throw this.#world.failure;
    const number = this.#next[rank]!++;
    this.#meetings[number] ??= new Map();
    const meeting = this.#meetings[number];
    const met = new Promise<readonly unknown[]>((resolve, reject) => {
      meeting.set(rank, { what, own, resolve, reject });
    });
    if (meeting.size === this.#size) settle(meeting);
    this.checkComplete();
    // Nobody gets a hold of another rank's values.
    return structuredClone(await met);
  }

  /** Those who wait for somebody who has gone home would wait for ever. */
  checkComplete(): void {
    for (const meeting of this.#meetings.filter(({ size }) => size < this.#size)) {
      const missing = [...this.#gone].find((rank) => !meeting.has(rank));
      const [guest] = meeting.values();
      if (missing === undefined || !guest) continue;
      const error = new Error(
        `expected rank ${missing} at ${guest.what ?? 'a meeting'}, found that it had left`,
      );
      for (const { reject } of meeting.values()) reject(error);
    }
  }

  end(error: Error): void {
    for (const meeting of this.#meetings) for (const { reject } of meeting.values()) reject(error);
  }
}

/** @throws to all of them where they came for different purposes */
function settle(meeting: ReadonlyMap<number, Guest>): void {
  const guests = [...meeting].sort(([a], [b]) => a - b).map(([, guest]) => guest);
  const purposes = [...new Set(guests.flatMap(({ what }) => what ?? []))];
  if (purposes.length > 1) {
    const error = new Error(`expected all ranks to meet for the same, found ${purposes.join(' and ')}`);
    for (const { reject } of guests) reject(error);
  } else {
    for (const { resolve } of guests) resolve(guests.map(({ own }) => own));
  }
}

const copied = ({ data, counts }: Parts): Parts => ({ data: data.slice(), counts: [...counts] });

function partOf({ data, counts }: Parts, rank: number): Float32Array {
  const start = counts.slice(0, rank).reduce((a, b) => a + b, 0);
  return data.subarray(start, start + counts[rank]!);
}

/** @throws where ranks disagree about the lengths of parts */
function fill({ data, counts }: Parts, parts: readonly Float32Array[]): void {
  const lengths = parts.map(({ length }) => length);
  if (lengths.join() !== counts.join()) throw new Error(`expected parts of ${counts}, found ${lengths}`);
  let start = 0;
  for (const part of parts) {
    data.set(part, start);
    start += part.length;
  }
}
