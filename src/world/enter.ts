import { InputError } from '../base/errors.js';
import type { Launch } from './launch.js';
import type { Handle, Library } from './library.js';
import { type Meeting, meet } from './meetings.js';
import { Mpi } from './mpi.js';
import type { Place } from './world.js';

/** A rank that has come among the others. */
export interface Entered {
  readonly mpi: Mpi;
  readonly place: Place;
  /** The ranks of the world, as many times as asked for: their messages are apart. */
  readonly comms: readonly Handle[];
}

/**
 * MPI_Init, which returns when all ranks have called it, and what a rank has to know of the others.
 * @throws InputError when MPI and the launcher disagree about how many there are
 */
export function enter(launch: Launch, library: Library, count: number): Entered {
  const mpi = new Mpi(library);
  mpi.start();
  const { world } = mpi.abi;
  const [rank, size] = [mpi.rank(world), mpi.size(world)];
  if (rank !== launch.rank || size !== (launch.size ?? size)) {
    throw new InputError(
      `expected the world of ${launch.seen}, found rank ${rank} of ${size} in that of ${library.version}; start with its own mpirun -np N, or with srun --mpi=pmix -n N`,
    );
  }
  const comms = Array.from({ length: count }, () => mpi.duplicate(world));
  const near = mpi.sharing(world);
  const floor = { mpi, comm: world, rank, size };
  const hosts = finish(mpi, meet(floor, 'gather', [mpi.processorName(), 'names of hosts'])) as string[];
  return { mpi, comms, place: { rank, size, localRank: mpi.rank(near), localSize: mpi.size(near), hosts } };
}

/** Waits without a break: all ranks are there. */
function finish<T>(mpi: Mpi, meeting: Meeting<T>): T {
  for (;;) {
    const { done, value } = meeting.next();
    if (done) return value;
    while (!mpi.isDone(value));
  }
}
