import type { Threads } from '../actors/threads.js';
import { DivergedError, InputError } from '../base/errors.js';
import { readRunFile } from '../formats/runFile.js';
import { holdsRun, takeRunFolder } from '../formats/runFolder.js';
import { type Preparation, prepare } from '../prepare/prepare.js';
import { type Given, type RunRequest, resolveOptions } from '../prepare/resolveOptions.js';
import type { MetricsRecord } from '../records.js';
import type { RunHooks } from '../run/hooks.js';
import { type Devices, runDespiteLosses } from '../run/recovery.js';
import { outcomeOf } from './outcome.js';
import type { CellResult, CellStore } from './store.js';

/** What all cells of a study share. */
export interface Workshop {
  readonly devices: Devices;
  readonly threads: Threads;
  readonly hooks: RunHooks;
  /** Told in a line what is not as it should be, and what was done about it. */
  readonly note: (text: string) => void;
}

/** A run that has come to its end, and what it was made from. */
export interface EndedRun {
  readonly result: CellResult;
  readonly prepared: Preparation;
}

/**
 * Runs a cell, from its last checkpoint where a part of it is there. What is there and can't go on is set aside.
 * @returns undefined when it was stopped
 * @throws InputError for what the cell can't be run with, RunError when it failed; what was saved is kept
 */
export async function runCell(
  store: CellStore,
  key: string,
  given: Given,
  { devices, threads, hooks, note }: Workshop,
): Promise<EndedRun | undefined> {
  const out = store.pathOf(key);
  const prepareWith = (request: RunRequest) => prepare(request, devices.hosts, hooks.emit);
  const begin = () => prepareWith(resolveOptions({ ...given, out }));
  let folder = await takeRunFolder(out, true);
  try {
    const prepared = await untilStopped(hooks, async () => {
      if (!readRunFile(out)) return begin();
      return prepareWith(resolveOptions({ out, resume: true }));
    }).catch(async (error: unknown) => {
      if (!(error instanceof InputError) || !holdsRun(out)) throw error;
      folder.release();
      note(`${error.message}: set aside as ${store.setAside(key)}, the cell begins anew`);
      folder = await takeRunFolder(out, true);
      return untilStopped(hooks, begin);
    });
    const outcome = () => outcomeOf(out, given.fork as string | undefined);
    return prepared && (await ended(prepared, outcome, { devices, threads, hooks }));
  } finally {
    folder.release();
  }
}

/** Undefined once the study is stopped, which does not wait for downloads. */
const untilStopped = <T>({ stopped }: RunHooks, work: () => Promise<T>): Promise<T | undefined> =>
  Promise.race([work(), stopped.then(() => undefined)]);

async function ended(
  prepared: Preparation,
  outcome: () => ReturnType<typeof outcomeOf>,
  { devices, threads, hooks }: Pick<Workshop, 'devices' | 'threads' | 'hooks'>,
): Promise<EndedRun | undefined> {
  try {
    const { finished } = await runDespiteLosses(prepared, devices, hooks, { threads });
    if (!finished) return undefined;
    return { result: { status: 'done', ...outcome() }, prepared };
  } catch (error) {
    if (!(error instanceof DivergedError)) throw error;
    const [reason] = error.message.split('; ');
    return { result: { status: 'diverged', reason: reason!, ...outcome() }, prepared };
  }
}

/** The time that a run had come to after one of its steps, in seconds. */
export function secondsAt(metrics: Iterable<MetricsRecord>, step: number): number {
  for (const record of metrics) if (record.type === 'step' && record.step === step) return record.elapsed_s;
  return 0;
}
