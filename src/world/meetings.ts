import { deserialize, serialize } from 'node:v8';
import { RunError } from '../base/errors.js';
import type { Handle } from './library.js';
import type { Layout, Mpi, Request } from './mpi.js';
import type { Channel, Parts } from './world.js';

/** Requests of MPI, one after the other: each is yielded when it has begun, and its follower begins when it is done. */
export type Meeting<T = unknown> = Generator<Request, T, void>;

/** Where a meeting takes place. */
export interface Floor {
  readonly mpi: Mpi;
  readonly comm: Handle;
  readonly rank: number;
  readonly size: number;
}

const METHODS: readonly (keyof Channel)[] = ['gather', 'exchange', 'complete'];

/** MPI's counts and places are C's ints. */
const MOST_ELEMENTS = 2 ** 31 - 1;

/** The collective call behind a channel's method, with its arguments. */
export function meet(floor: Floor, method: keyof Channel, args: readonly unknown[]): Meeting {
  if (method === 'gather') return gather(floor, ...(args as Parameters<Channel['gather']>));
  if (method === 'exchange') return exchange(floor, ...(args as Parameters<Channel['exchange']>));
  return complete(floor, ...(args as Parameters<Channel['complete']>));
}

function* gather(floor: Floor, own: unknown, doing = 'words'): Meeting<readonly unknown[]> {
  const { mpi, comm, rank, size } = floor;
  const bytes = serialize(own);
  const counts = yield* agree(floor, 'gather', Array(size).fill(bytes.length), doing);
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total > MOST_ELEMENTS) {
    throw new RunError(`${doing}: expected at most ${MOST_ELEMENTS} bytes of all ranks, found ${total}`);
  }
  const layout = layoutOf(counts);
  const whole = new Uint8Array(total);
  whole.set(bytes, layout.starts[rank]);
  yield mpi.allGatherBytes(whole, layout, comm);
  return counts.map((count, at) => {
    const start = layout.starts[at]!;
    return deserialize(whole.subarray(start, start + count));
  });
}

function* exchange(floor: Floor, sent: Parts, received: Parts, doing: string): Meeting<void> {
  check(floor, sent, doing);
  check(floor, received, doing);
  if (sent.data.buffer === received.data.buffer && sent.data.byteOffset === received.data.byteOffset) {
    throw new RunError(`${doing}: expected to receive into another array than is sent, found the same one`);
  }
  const counts = yield* agree(floor, 'exchange', sent.counts, doing);
  compare(counts, received.counts, doing);
  const from = layoutOf(sent.counts);
  const to = layoutOf(received.counts);
  yield floor.mpi.allToAllFloats(sent.data, from, received.data, to, floor.comm);
}

function* complete(floor: Floor, whole: Parts, doing: string): Meeting<void> {
  check(floor, whole, doing);
  const own = whole.counts[floor.rank]!;
  const counts = yield* agree(floor, 'complete', Array(floor.size).fill(own), doing);
  compare(counts, whole.counts, doing);
  yield floor.mpi.allGatherFloats(whole.data, layoutOf(whole.counts), floor.comm);
}

/**
 * Waits for all ranks, and sees that they have come for the same: nothing else would find it out.
 * @param counts what each rank gets
 * @returns what this one gets of each
 */
function* agree(
  { mpi, comm, size }: Floor,
  method: keyof Channel,
  counts: readonly number[],
  doing: string,
): Meeting<number[]> {
  const kind = METHODS.indexOf(method);
  const sent = Float64Array.from(counts.flatMap((count) => [kind, count]));
  const received = new Float64Array(2 * size);
  const each = 2 * Float64Array.BYTES_PER_ELEMENT;
  yield mpi.allToAll(new Uint8Array(sent.buffer), new Uint8Array(received.buffer), each, comm);
  return counts.map((_, rank) => {
    const theirs = received[2 * rank]!;
    if (theirs === kind) return received[2 * rank + 1]!;
    throw new RunError(
      `${doing}: expected all ranks to ${method}, found that rank ${rank} would ${METHODS[theirs]}`,
    );
  });
}

function check({ size }: Floor, { data, counts }: Parts, doing: string): void {
  if (counts.length !== size) {
    throw new RunError(`${doing}: expected a part for each of ${size} ranks, found ${counts.length}`);
  }
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total > data.length) {
    throw new RunError(`${doing}: expected ${total} elements for all parts, found ${data.length}`);
  }
  if (total > MOST_ELEMENTS) {
    throw new RunError(`${doing}: expected at most ${MOST_ELEMENTS} elements, found ${total}`);
  }
}

function compare(found: readonly number[], expected: readonly number[], doing: string): void {
  const rank = found.findIndex((count, at) => count !== expected[at]);
  if (rank < 0) return;
  throw new RunError(`${doing}: expected ${expected[rank]} elements of rank ${rank}, found ${found[rank]}`);
}

function layoutOf(counts: readonly number[]): Layout {
  const starts = new Int32Array(counts.length);
  for (let rank = 1; rank < counts.length; rank++) starts[rank] = starts[rank - 1]! + counts[rank - 1]!;
  return { counts: Int32Array.from(counts), starts };
}
