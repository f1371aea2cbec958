import { availableParallelism } from 'node:os';
import type { Place } from './world.js';

/** What of its machine a rank takes, where others are on it, too: its own GPU in turn, and its share of the cores. */
export interface LocalShare {
  readonly threads: number | undefined;
  readonly localRank: number | undefined;
}

/** @param threads as they were asked for */
export function localShare(
  { localRank, localSize }: Pick<Place, 'localRank' | 'localSize'>,
  threads: number | undefined,
): LocalShare {
  if (localSize === 1) return { threads, localRank: undefined };
  return { threads: threads ?? Math.max(1, Math.floor(availableParallelism() / localSize)), localRank };
}
