import { type Observable, Subject } from 'rxjs';
import { type DeviceHosts, hostDevices } from '../devices/host.js';
import { readRunFile } from '../formats/runFolder.js';
import type { TrainInput } from '../options/train.js';
import { secondsPerStep } from '../prepare/estimate.js';
import { type Preparation, prepare } from '../prepare/prepare.js';
import { resolveOptions } from '../prepare/resolveOptions.js';
import type { MetricsRecord } from '../records.js';
import { Devices, runDespiteLosses } from '../run/recovery.js';
import type { RunResult } from '../run/run.js';

/** A training run in progress. */
export interface Run {
  /**
   * Every record of the run, as it happens: hot, so subscribe in the same turn as `train` to see the first one.
   * Completes when the run is over, errors when it fails, also for those who come after that. Unsubscribing does not
   * stop the run. As always in RxJS, a subscriber without an error callback makes a failure an unhandled error.
   */
  readonly metrics$: Observable<MetricsRecord>;
  /** Resolves once everything is on disk; rejects with an InputError or a RunError. */
  readonly finished: Promise<RunResult>;
  /** What the run will do, known once the input has been checked and before anything is written. */
  readonly prepared: Promise<Preparation & { readonly device: string }>;
  /** Finishes the current step, saves a checkpoint and ends the run; `finished` then resolves. */
  stop(): void;
}

/**
 * Trains a LoRA adapter: the library form of `node dist/train.js`, with the same options in camelCase.
 * Errors reach `metrics$` and `finished` alike: handle them at one of them, or at both.
 */
export function train(options: TrainInput): Run {
  const metrics$ = new Subject<MetricsRecord>();
  let stopping = false;
  const hooks = { emit: (record: MetricsRecord) => metrics$.next(record), shouldStop: () => stopping };
  const resolved = later(async () => resolveOptions({ ...options }));
  const devices = new Devices(async (chosen) => {
    const { device, teacherDevice, threads, kernels, tune } = await resolved;
    return hostDevices({ device, teacherDevice }, { threads, kernels, tune }, chosen);
  });
  const prepared = resolved.then(async ({ resume, out }) => {
    const hosts = await devices.open(resume ? readRunFile(out!)?.variants : undefined);
    return { ...(await prepare({ ...options }, hosts, hooks.emit)), device: hosts.description };
  });
  const finished = prepared.then(async (preparation) => {
    if (preparation.options.dryRun) return dryRun(preparation, devices.hosts);
    return runDespiteLosses(preparation, devices, hooks);
  });
  const closed = finished.finally(() => devices.close());
  closed.then(
    () => metrics$.complete(),
    (error) => metrics$.error(error),
  );
  for (const promise of [prepared, closed]) promise.catch(() => {});
  return {
    metrics$: metrics$.asObservable(),
    finished: closed,
    prepared,
    stop() {
      stopping = true;
    },
  };
}

/** Ends where a run would start. */
async function dryRun(prepared: Preparation, devices: DeviceHosts): Promise<RunResult> {
  const { out, resume } = prepared;
  const estimate = { secondsPerStep: await secondsPerStep(prepared, devices) };
  return { out, steps: resume?.state.step ?? 0, finished: false, estimate };
}

/** Runs `work` in a later turn, so that subscribers are there first and errors reject instead of throwing. */
const later = async <T>(work: () => Promise<T>): Promise<T> => {
  await Promise.resolve();
  return work();
};
