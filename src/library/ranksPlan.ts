import { runOf } from '../model/gradientTree.js';
import { totalBytes } from '../prepare/memory.js';
import type { Preparation } from '../prepare/prepare.js';
import { exchangedBytes } from '../training/gradientExchange.js';
import type { World } from '../world/world.js';

/** What a rank is about to do. */
export interface RankPlan {
  readonly host: string;
  /** What it computes on, in words. */
  readonly device: string;
  /** Micro-batches of each batch: the first one's number, and how many. */
  readonly microBatches: { readonly first: number; readonly count: number };
  /** Bytes that its models take, and those that it adds gradients of other ranks up in. */
  readonly memory: number;
  readonly exchange: number;
  /** Bytes that it sends in a step. */
  readonly sent: number;
}

/** Processes that share a run's batches. */
export interface RanksPlan {
  /** MPI's library and its version. */
  readonly library: string;
  /** Of this process. */
  readonly rank: number;
  readonly ranks: readonly RankPlan[];
}

/**
 * Undefined of a process that was started alone.
 * @internal
 */
export async function ranksOf(
  world: World,
  { student, plans, parameters, device }: Preparation & { readonly device: string },
): Promise<RanksPlan | undefined> {
  const { rank, size, hosts, library, channel } = world;
  if (library === undefined) return undefined;
  const sharing = { place: { rank, size }, microBatches: student.microBatches };
  const { sent, held } = exchangedBytes(sharing, parameters);
  const own: RankPlan = {
    host: hosts[rank]!,
    device,
    microBatches: runOf(rank, size, student.microBatches),
    memory: totalBytes(plans.student) + (plans.teacher ? totalBytes(plans.teacher) : 0),
    exchange: held,
    sent,
  };
  return { library, rank, ranks: await channel.gather(own, 'plans') };
}
