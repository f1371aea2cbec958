import type { Threads } from '../actors/threads.js';
import { DivergedError, InputError } from '../base/errors.js';
import { listCheckpoints } from '../formats/checkpointFiles.js';
import { readRunFile } from '../formats/runFile.js';
import { holdsRun, runPaths } from '../formats/runFolder.js';
import { isOperational, type TrainOptions } from '../options/train.js';
import { type Preparation, prepare } from '../prepare/prepare.js';
import { type Given, resolveOptions } from '../prepare/resolveOptions.js';
import type { MetricsRecord } from '../records.js';
import type { RunHooks } from '../run/hooks.js';
import { type Devices, runDespiteLosses } from '../run/recovery.js';
import { outcomeOf } from './outcome.js';
import { absolutePaths } from './paths.js';
import type { CellResult } from './store.js';
import type { TakenCell } from './takenCell.js';

/** What all cells of a study share. */
export interface Workshop {
  readonly devices: Devices;
  readonly threads: Threads;
  readonly hooks: RunHooks;
  /** Told in a line what is not as it should be, and what was done about it. */
  readonly note: (text: string) => void;
}

/** What a cell is made from. */
export interface CellOptions {
  /** Those that its run begins with: of a branch, what differs from the run that it begins in. */
  readonly given: Given;
  /** All of them. */
  readonly options: TrainOptions;
}

/** A run that has come to its end, and what it was made from. */
export interface EndedRun {
  readonly result: CellResult;
  readonly prepared: Preparation;
}

/**
 * Runs a cell, from its last checkpoint where a part of it is there. What is there and can't go on is set aside, where
 * the cell can begin anew.
 * @returns undefined when it was stopped
 * @throws InputError for what the cell can't be run with, RunError when it failed; what was saved is kept
 */
export async function runCell(
  cell: TakenCell,
  { given, options }: CellOptions,
  { devices, threads, hooks, note }: Workshop,
): Promise<EndedRun | undefined> {
  const out = cell.path;
  // The run that goes on or is forked may have been told its paths elsewhere: to the key their contents alone count.
  const paths = absolutePaths(options);
  const prepareFor = (asked: Given) => {
    const request = resolveOptions({ ...asked, out });
    return prepare({ ...request, options: { ...request.options, ...paths } }, devices.hosts, hooks.emit);
  };
  const begin = async () => prepareFor(given);
  const prepared = await untilStopped(hooks, async () => {
    if (!readRunFile(out) || listCheckpoints(runPaths(out).checkpoints).length === 0) return begin();
    return prepareFor({ ...operational(given), resume: true });
  }).catch(async (error: unknown) => {
    if (!(error instanceof InputError) || !holdsRun(out)) throw error;
    const anew = await untilStopped(hooks, begin);
    if (anew) note(`${error.message}: set aside as ${await cell.setAside()}, the cell begins anew`);
    return anew;
  });
  const outcome = () => outcomeOf(out, given.fork as string | undefined);
  return prepared && ended(prepared, outcome, { devices, threads, hooks });
}

/** What a run that goes on may be told anew: when it is evaluated and saved, and by how many threads it is computed. */
const operational = (given: Given): Given =>
  Object.fromEntries(Object.entries(given).filter(([name]) => isOperational(name)));

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
