/** The processes that train together: as many as `mpirun -np N` or `srun` started, each a rank of one world. */

/**
 * Where all ranks meet. Each rank calls the same methods of a channel in the same order, from one thread; calls of different
 * channels know nothing of each other. `doing` says in a few words what they meet for, as in `step 12: gradients`:
 * whoever is waited for is told in these words.
 */
export interface Channel {
  /**
   * The values of all ranks, in order of their ranks. A value is anything that can be cloned to another thread.
   * @param doing undefined: others may come as late as they like
   */
  gather<T>(own: T, doing: string | undefined): Promise<readonly T[]>;
  /**
   * MPI_Alltoallv: of `sent`, which holds a part for each rank one behind the other, each rank receives its part;
   * `received` then holds what this rank got from each. Counts are in elements. Both arrays lie in shared memory and
   * belong to the call until it resolves.
   */
  exchange(sent: Parts, received: Parts, doing: string): Promise<void>;
  /**
   * MPI_Allgatherv: `whole` holds a part of each rank, of which this rank has filled in its own; the others' are there
   * when it resolves. The array lies in shared memory.
   */
  complete(whole: Parts, doing: string): Promise<void>;
}

/** An array that is cut into a part for each rank, one behind the other. */
export interface Parts {
  readonly data: Float32Array;
  /** Elements of each part, by rank. */
  readonly counts: readonly number[];
}

/** Whom a process is among. */
export interface Place {
  /** From 0. */
  readonly rank: number;
  readonly size: number;
  /** Among those on the same machine. */
  readonly localRank: number;
  readonly localSize: number;
  /** Name of the machine of each rank. */
  readonly hosts: readonly string[];
}

/** Threads that meet those of other ranks by themselves. */
export type ActorName = 'student' | 'evaluator';

/** A process among its ranks. */
export interface World extends Place {
  /** MPI's library and its version; undefined of a process alone. */
  readonly library: string | undefined;
  /** Of the main thread. */
  readonly channel: Channel;
  /**
   * The channel of an actor: a MessagePort of Node, to be transferred to its thread, whose type users of the library need not
   * have; undefined of a process alone.
   */
  port(name: ActorName): unknown;
  /** Of a rank that is silent, in milliseconds: all end then. */
  waitAtMost(ms: number): void;
  /** Once all ranks have come to their end. */
  leave(): Promise<void>;
  /** Ends the processes of all ranks, this one with `code`. */
  abort(code: number): void;
}

export const aloneChannel: Channel = {
  gather: async (own) => [own],
  exchange: async ({ data }, received) => received.data.set(data),
  complete: async () => {},
};

/** A process that was started alone: nothing is loaded for it. */
export const ALONE: World = {
  ...{ rank: 0, size: 1, localRank: 0, localSize: 1, hosts: [''], library: undefined },
  channel: aloneChannel,
  port: () => undefined,
  waitAtMost: () => {},
  leave: async () => {},
  abort: (code) => process.exit(code),
};
