/**
 * What each rank of the tests runs: `node rankProgram.js NAME OPTIONS`, one of the cases and what joinWorld takes as JSON.
 * A check that does not hold ends all ranks.
 */
import { joinWorld } from '#src/world/join.js';
import type { World } from '#src/world/world.js';
import { faults } from './rankFaults.js';
import { meetings } from './rankMeetings.js';

const [, , name = '', options = '{}'] = process.argv;
const cases: Readonly<Record<string, (world: World) => Promise<void>>> = { ...meetings, ...faults };

try {
  const world = await joinWorld(JSON.parse(options));
  try {
    await cases[name]!(world);
    await world.leave();
  } catch (error) {
    process.stderr.write(`error: rank ${world.rank}: ${(error as Error).stack}\n`);
    world.abort(1);
  }
} catch (error) {
  process.stderr.write(`error: ${(error as Error).message}\n`);
  process.exitCode = 2;
}
