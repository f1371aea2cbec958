import type { Command } from 'commander';
import { InputError } from '../base/errors.js';
import { version } from '../base/version.js';
import { joinWorld } from '../world/join.js';
import { launchOrNone } from '../world/launch.js';
import { agreeOn, fromFirst, isAgreed, ToldElsewhere, together } from '../world/together.js';
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

/** Runs a program that ranks have nothing to share in: of several, one says so. */
export async function runAlone(main: () => Promise<void>): Promise<void> {
  await runProgram(async () => {
    const { rank = 0, size = 1 } = launchOrNone(process.env) ?? {};
    if (size > 1) refuse(rank, size);
    await main();
  });
}

function refuse(rank: number, size: number): never {
  const error = new InputError(
    `expected a program that shares its work out (train, study, cache, tokenize), found one that works alone started as ${size} ranks; start it without mpirun or srun`,
  );
  throw rank === 0 ? error : new ToldElsewhere(0, error);
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
