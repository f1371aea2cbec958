import { Actors } from '../actors/actors.js';
import { Threads } from '../actors/threads.js';
import { collectGarbageAfter } from '../base/collectGarbage.js';
import { DeviceLostError, DivergedError, InputError, isDiskFull, RunError } from '../base/errors.js';
import type { DeviceHosts } from '../devices/host.js';
import { listCheckpoints } from '../formats/checkpointFiles.js';
import { runPaths } from '../formats/runFolder.js';
import type { Preparation } from '../prepare/prepare.js';
import { ALONE, type World } from '../world/world.js';
import { Follower } from './follower.js';
import type { RunHooks } from './hooks.js';
import type { RunResult } from './result.js';
import { Run } from './run.js';

/** Whom a run is among. */
export interface RunAmong {
  /** Left for the next run by one that has come to its end (default: of this run alone). */
  readonly threads?: Threads | undefined;
  /** Ranks that share its batches (default: none). */
  readonly world?: World | undefined;
}

/**
 * The whole run: loader -> teacher -> student -> evaluator, each in its own thread. Everything that
 * can be wrong with the input fails before the first file is written. A run that is stopped ends within seconds.
 */
export async function runPipeline(
  prepared: Preparation,
  devices: DeviceHosts,
  hooks: RunHooks,
  { threads, world = ALONE }: RunAmong = {},
): Promise<RunResult> {
  const actors = new Actors([...new Set([devices.student, devices.teacher])], threads ?? new Threads());
  const run =
    world.rank === 0
      ? new Run(prepared, actors, hooks, { world, isOneOfMany: threads !== undefined })
      : new Follower(prepared, actors, hooks, world);
  try {
    const going = run.go(devices);
    going.catch(() => {});
    const result = await actors.guard(Promise.race([going, run.halted()]));
    if (threads && result.finished) await actors.end();
    await run.end();
    return result;
  } catch (error) {
    throw explained(error, prepared.out);
  } finally {
    await actors.close();
    run.close();
    // The evaluator's way into the student's memory led through this thread.
    collectGarbageAfter(prepared.plans.student.bytes.persistent);
  }
}

/** Errors that crossed threads are no instances of our classes any more. */
function explained(error: unknown, out: string): Error {
  const reason = error instanceof Error ? error : new Error(String(error));
  const { name, message } = reason;
  if (name === 'InputError') return new InputError(message);
  if (name === 'DeviceLostError') return new DeviceLostError(message);
  const last = listCheckpoints(runPaths(out).checkpoints).at(-1);
  const advice = isDiskFull(reason) ? '; free some space, then go on with --resume' : '';
  const Failure = name === 'DivergedError' ? DivergedError : RunError;
  return new Failure(`${message}${advice}; last good checkpoint: ${last?.path ?? 'none'}`, { cause: error });
}
