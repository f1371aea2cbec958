import type { Command } from 'commander';
import { version } from '../base/version.js';
import { joinWorld } from '../world/join.js';
import { agreeOn, fromFirst, isAgreed, together } from '../world/together.js';
import type { World } from '../world/world.js';
import { report, runProgram } from './program.js';

/**
 * Runs a program as one of the ranks that `mpirun` or `srun` started, or alone, and sets its exit code as `runProgram`
 * does. A failure that all ranks have agreed on is told by one of them, and all end with its code; any other ends all.
 * @param main what it gives is done after the ranks have left each other
 */
export async function runRanks(main: (world: World) => Promise<(() => void) | undefined>): Promise<void> {
  await runProgram(async () => {
    const world = await joinWorld();
    let last: (() => void) | undefined;
    try {
      last = await main(world);
    } catch (error) {
      process.exitCode = report(error);
      if (world.size > 1 && !isAgreed(error)) return world.abort(process.exitCode);
    }
    await world.leave();
    last?.();
  });
}

/** Options as every rank has them for itself, where all of them can be read. */
export const ownOptions = <Options>(world: World, command: Command): Promise<Options> =>
  together(world, 'options', () => command.parse().opts() as Options);

/** Options that rank 0 reads for all, which have to be started alike; tells who they are. */
export async function sameOptions<Options>(world: World, command: Command): Promise<Options> {
  await agreeOn(world, 'options', { version, options: process.argv.slice(2).join(' ') });
  const options = await fromFirst(world, 'options', () => command.parse().opts() as Options);
  if (world.rank === 0 && world.size > 1) process.stderr.write(`${worldText(world)}\n`);
  return options;
}

/** Who trains together: `4 ranks over Open MPI 4.1.4: 2 on a, 2 on b`. */
export function worldText({ size, library, hosts }: Pick<World, 'size' | 'library' | 'hosts'>): string {
  const counts = new Map<string, number>();
  for (const host of hosts) counts.set(host, (counts.get(host) ?? 0) + 1);
  const places = [...counts].map(([host, count]) => `${count} on ${host}`);
  return `${size} ranks over ${library}: ${places.join(', ')}`;
}
