import { availableParallelism } from 'node:os';
import type { Place } from './world.js';

/**
 * Compute threads of a process: as many as it is told, else its share of the cores where other ranks are on the same
 * machine. Undefined leaves it to the device, which takes all cores.
 */
export function ownThreads(
  threads: number | undefined,
  { localSize }: Pick<Place, 'localSize'>,
): number | undefined {
  if (threads !== undefined || localSize === 1) return threads;
  return Math.max(1, Math.floor(availableParallelism() / localSize));
}
