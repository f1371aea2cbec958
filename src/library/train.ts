import { type Observable, Subject } from 'rxjs';
import { atOnce } from '../base/atOnce.js';
import { RunError } from '../base/errors.js';
import { type DeviceHosts, hostDevices } from '../devices/host.js';
import {
  checkUntaken,
  freshRunFolder,
  type RunFolder,
  takeRunFolder,
  unwrittenFolder,
} from '../formats/runFolder.js';
import type { TrainInput, TrainOptions } from '../options/train.js';
import { agree } from '../prepare/agreement.js';
import { secondsPerStep } from '../prepare/estimate.js';
import { refuseLost } from '../prepare/origin.js';
import { type Preparation, prepare } from '../prepare/prepare.js';
import { type RunRequest, resolveOptions } from '../prepare/resolveOptions.js';
import type { MetricsRecord } from '../records.js';
import type { RunHooks } from '../run/hooks.js';
import { Devices, runDespiteLosses } from '../run/recovery.js';
import { isNothingSaved, type RunResult, stoppedResult } from '../run/result.js';
import { localShare } from '../world/localShare.js';
import { firstOfMachine, ToldElsewhere, together } from '../world/together.js';
import { ALONE, type World } from '../world/world.js';
import { outcomeOf } from './failures.js';
import { ranksOf } from './ranksPlan.js';
import { type PreparedOn, type RunPlan, runPlan } from './runPlan.js';
import { createStop } from './stop.js';

/** A training run in progress. */
export interface Run {
  /**
   * Every record of the run, as it happens: hot, so subscribe in the same turn as `train` to see the first one.
   * Completes when the run is over, errors when it fails, also for those who come after that. Unsubscribing does not
   * stop the run. A subscriber without an error callback leaves a failure to `finished`, and is no unhandled error.
   */
  readonly metrics$: Observable<MetricsRecord>;
  /**
   * Resolves once everything is on disk; rejects with an InputError or a RunError. Like any promise, one that rejects
   * and that nobody handles is an unhandled rejection, which ends the process; an error callback at `metrics$` handles
   * it, too.
   */
  readonly finished: Promise<RunResult>;
  /**
   * What the run will do, known once the input has been checked and before anything is written. Rejects as `finished`
   * does, and when the run is stopped before that.
   */
  readonly prepared: Promise<RunPlan>;
  /**
   * Ends the run within about five seconds, and `finished` then resolves: after the current step, or a long one without
   * it, with a checkpoint. Before the first step nothing is saved, and a folder that was made for the run is taken away.
   */
  stop(): void;
}

/**
 * Trains a LoRA adapter: the library form of `node dist/train.js`, with the same options in camelCase.
 * Errors reach `metrics$` and `finished` alike: handle them at one of them, or at both.
 * Relative paths follow the working directory, which must not change before `finished`: checkpoints would go elsewhere.
 * @param world ranks that share the run's batches, see `joinWorld` (default: none); the first of them writes and tells
 */
export function train(options: TrainInput, world: World = ALONE): Run {
  const request = atOnce(() => resolveOptions(options));
  const records = new Subject<MetricsRecord>();
  const stop = createStop();
  const hooks: RunHooks = {
    emit: (record) => records.next(record),
    shouldStop: () => stop.isAsked,
    stopped: stop.asked,
  };
  const begin = Promise.resolve().then(() => beginRun(request, world, hooks));
  const prepared = begin.then(async ({ prepared }) => runPlan(await prepared));
  const done = begin.then(async (begun) => {
    try {
      const result = await goOn(begun, begun.hooks);
      if (isNothingSaved(result)) begun.folder.discard();
      return result;
    } finally {
      await begun.close();
    }
  });
  prepared.catch(() => {});
  return { ...outcomeOf(done, records), prepared, stop: stop.ask };
}

/** What `prepared` rejects with where the run is stopped before; `finished` resolves then. */
class StoppedEarly extends RunError {}

interface Begun {
  readonly folder: RunFolder;
  readonly devices: Devices;
  readonly world: World;
  readonly hooks: RunHooks;
  readonly prepared: Promise<PreparedOn>;
  close(): Promise<void>;
}

/** Takes the folder before anything slow; the rest goes on in `prepared`, which a stop ends. */
async function beginRun(
  resolved: () => RunRequest,
  world: World,
  { emit: told, shouldStop, stopped }: RunHooks,
): Promise<Begun> {
  // The first rank tells what all of them do.
  const emit = world.rank === 0 ? told : () => {};
  const hooks = { emit, shouldStop, stopped };
  const request = await together(world, 'options', resolved);
  const { options } = request;
  world.waitAtMost(options.rankTimeout * 1000);
  const { device, teacherDevice, threads, kernels, tune, dryRun } = options;
  const folder = await folderFor(world, options);
  const devices = new Devices((chosen) =>
    hostDevices({ device, teacherDevice }, { ...localShare(world, threads), kernels, tune }, chosen),
  );
  const tell = (record: MetricsRecord) => {
    if (record.type === 'progress' && shouldStop()) throw new StoppedEarly(`stopped while ${record.doing}`);
    emit(record);
  };
  emit({ type: 'progress', doing: 'starting the device' });
  const opened = devices.open(request.before?.variants);
  const leaving = new AbortController();
  const looked = firstOfMachine(world, 'preparing', async (signal) => {
    const hosts = await opened;
    const wanted = dryRun ? request : { ...request, options: { ...options, out: folder.path } };
    const stopping = AbortSignal.any([signal, leaving.signal]);
    const prepared = await prepare(wanted, hosts, tell, world, stopping).catch((error) => {
      leaving.signal.throwIfAborted();
      throw error;
    });
    refuseLost(options, prepared.out, prepared.resume);
    return { ...prepared, device: hosts.description };
  });
  const ready = looked.then(async (prepared) => {
    await agree(world, prepared, devices.hosts);
    return { ...prepared, ranks: await ranksOf(world, prepared) };
  });
  ready.catch(() => {});
  const early = stopped.then(() => {
    const stop = new StoppedEarly(`stopped before the run in ${folder.path} went on; nothing was written`);
    leaving.abort(stop);
    throw stop;
  });
  early.catch(() => {});
  const close = async () => {
    await opened.catch(() => {});
    await devices.close();
    folder.release();
  };
  // Ranks stop together: those that others wait for say so when they are asked.
  return {
    folder,
    devices,
    world,
    hooks,
    prepared: Promise.race(world.size > 1 ? [ready] : [ready, early]),
    close,
  };
}

/** The first rank's, which alone writes to it. */
async function folderFor(world: World, options: TrainOptions): Promise<RunFolder> {
  const own = await together(world, 'the folder', () => (world.rank === 0 ? folderOf(options) : undefined));
  const [path] = await world.channel.gather(own?.path, 'the folder');
  return own ?? unwrittenFolder(path!);
}

/** A dry run takes none. */
async function folderOf({ out, resume, dryRun }: TrainOptions): Promise<RunFolder> {
  if (!dryRun) return takeRunFolder(out, resume);
  const path = out ?? freshRunFolder();
  await checkUntaken(path, resume);
  return unwrittenFolder(path);
}

async function goOn({ prepared, devices, folder, world }: Begun, hooks: RunHooks): Promise<RunResult> {
  try {
    const preparation = await prepared;
    if (preparation.options.dryRun) return await dryRun(preparation, devices.hosts, world);
    return await runDespiteLosses(preparation, devices, hooks, { world });
  } catch (error) {
    const isStop = error instanceof StoppedEarly || (error instanceof ToldElsewhere && hooks.shouldStop());
    if (isStop) return stoppedResult(folder.path);
    throw error;
  }
}

/** Ends where a run would start; a step takes as long as the slowest rank, whose sums come on top. */
async function dryRun(prepared: Preparation, devices: DeviceHosts, world: World): Promise<RunResult> {
  const { out, resume } = prepared;
  const own = await secondsPerStep(prepared, devices);
  const seconds = await world.channel.gather(own, 'timing');
  const estimate = { secondsPerStep: Math.max(...seconds) };
  return { out, steps: resume?.state.step ?? 0, finished: false, estimate };
}
