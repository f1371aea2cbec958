import { existsSync, readFileSync, statSync } from 'node:fs';
import { InputError } from '../base/errors.js';
import { cursorSchema } from '../data/cursor.js';
import type { Cursor } from '../data/packing.js';
import { withoutPlans } from '../evaluation/tasks/hashPlans.js';
import { type CheckpointState, readWholeCheckpoint } from '../formats/checkpoint.js';
import { type Checkpoint, listCheckpoints } from '../formats/checkpointFiles.js';
import { hashFile } from '../formats/hashes.js';
import { checkRunFile, type RunFile, readRunFile } from '../formats/runFile.js';
import { runPaths } from '../formats/runFolder.js';
import type { TrainOptions } from '../options/train.js';
import { learningRate, type ScheduleOptions } from '../training/schedule.js';

/** What a run goes on from. */
export interface Origin {
  /** Of the checkpoint. */
  readonly path: string;
  readonly state: CheckpointState<Cursor>;
  /** Newer checkpoints that can't be used, and why: they are set aside. */
  readonly damaged: readonly { readonly path: string; readonly message: string }[];
  /** Of a fork: the run whose checkpoint it is. */
  readonly forked?: { readonly run: string; readonly step: number };
}

type Beginning = Pick<TrainOptions, 'resume' | 'fork'>;

/** `RUN@STEP`. @throws InputError for anything else */
export function parseFork(fork: string): { readonly run: string; readonly step: number } {
  const [, run, step] = /^(.+)@(\d{1,15})$/.exec(fork) ?? [];
  if (run !== undefined) return { run, step: Number(step) };
  throw new InputError(`--fork: expected RUN@STEP, such as runs/0001@100, found ${fork}; add the step`);
}

/** What the run that is forked was started with. @throws InputError when there is none */
export function forkedRun(fork: string): RunFile {
  const { run } = parseFork(fork);
  const file = readRunFile(run);
  if (file) return file;
  throw new InputError(`--fork: expected a run in ${run}, found none; check the path`);
}

/**
 * Where a run in `out` goes on: the newest checkpoint that is whole and whose metrics are there; of a fork the one that
 * was named. Nothing is written.
 * @throws InputError naming the file that is another one than was written, when no checkpoint can be used
 */
export async function findOrigin(
  options: Beginning,
  out: string,
  before: RunFile | undefined,
): Promise<Origin | undefined> {
  if (options.resume) return lastUsable(out, before);
  return options.fork === undefined ? undefined : forkedCheckpoint(options.fork, before);
}

async function lastUsable(out: string, before: RunFile | undefined): Promise<Origin | undefined> {
  const damaged: { path: string; message: string }[] = [];
  for (const { path } of listCheckpoints(runPaths(out).checkpoints).reverse()) {
    try {
      const state = await readWholeCheckpoint(path, cursorSchema);
      await checkMetrics(out, path, state);
      checkFacts(out, path, state, before);
      return { path, state, damaged };
    } catch (error) {
      if (!(error instanceof InputError) || error instanceof OtherRun) throw error;
      damaged.push({ path, message: error.message });
    }
  }
  if (damaged.length === 0) return undefined;
  throw new InputError(damaged[0]!.message);
}

/** In metrics.jsonl, that something was saved. */
const SAVED = /^\{"type":"(?:checkpoint|end)",/m;

/**
 * Holds a run that is to go on and has no checkpoint to having saved nothing so far: it begins anew, over what is there.
 * @throws InputError naming what shows that its checkpoints were lost
 */
export function refuseLost(
  { resume: isAsked, examples, fork }: Pick<TrainOptions, 'resume' | 'examples' | 'fork'>,
  out: string,
  found: Origin | undefined,
): void {
  // Of no examples the start is saved, without a checkpoint.
  if (!isAsked || found || examples === 0) return;
  const { adapter, model, metrics, checkpoints } = runPaths(out);
  const shown = [
    ...(fork === undefined ? [] : [`a fork of ${fork}, which begins with one`]),
    ...[adapter, model].filter((path) => existsSync(path)).map((path) => `${path}, which it has made`),
    ...(existsSync(metrics) && SAVED.test(readFileSync(metrics, 'utf8'))
      ? [`records of some in ${metrics}`]
      : []),
  ];
  if (shown.length === 0) return;
  throw new InputError(
    `${checkpoints}: expected the checkpoints of the run, found none, but ${shown[0]}; put them back, or begin a new run ` +
      'in another folder',
  );
}

/** run.json is not that of the checkpoints: an older one will not do either. */
class OtherRun extends InputError {}

function checkFacts(
  out: string,
  path: string,
  { run }: CheckpointState<Cursor>,
  found: RunFile | undefined,
): void {
  if (!run) return;
  if (!found) {
    throw new OtherRun(
      `${runPaths(out).options}: expected what the run began with, found no file; put it back`,
    );
  }
  try {
    checkRunFile(out, found, path, run);
  } catch (error) {
    throw new OtherRun((error as Error).message);
  }
}

async function checkMetrics(out: string, path: string, state: CheckpointState<Cursor>): Promise<void> {
  const { metrics } = runPaths(out);
  const { metricsBytes, metricsHash, step } = state;
  const size = statSync(metrics, { throwIfNoEntry: false })?.size ?? 0;
  const advice = `restore it, or begin a new run there with --fork ${out}@${step}`;
  if (size < metricsBytes) {
    throw new InputError(
      `${metrics}: expected the ${metricsBytes} bytes that ${path} was made after, found ${size}; ${advice}`,
    );
  }
  if (metricsHash === undefined || metricsBytes === 0) return;
  if ((await hashFile(metrics, metricsBytes)) === metricsHash) return;
  throw new InputError(
    `${metrics}: expected the records that ${path} was made after, found others in its first ${metricsBytes} bytes; ${advice}`,
  );
}

async function forkedCheckpoint(fork: string, before: RunFile | undefined): Promise<Origin> {
  const { run, step } = parseFork(fork);
  const checkpoints = listCheckpoints(runPaths(run).checkpoints);
  const found = checkpoints.find((checkpoint) => checkpoint.step === step);
  if (!found) throw missingCheckpoint(fork, checkpoints);
  const { path } = found;
  const state = await readWholeCheckpoint(path, cursorSchema);
  if (state.run && before) checkRunFile(run, before, path, state.run);
  // Its own metrics begin with it, and it may evaluate otherwise.
  const none = { metricsHash: undefined, recorded: undefined, held: undefined, evaluations: undefined };
  const begun = { ...state, texts: withoutPlans(state.texts), metricsBytes: 0, ...none };
  return { path, state: begun, damaged: [], forked: { run, step } };
}

function missingCheckpoint(fork: string, checkpoints: readonly Checkpoint[]): InputError {
  const { run, step } = parseFork(fork);
  const steps = checkpoints.map((checkpoint) => checkpoint.step).join(', ') || 'none';
  return new InputError(
    `--fork: expected a checkpoint of ${run}, found none of step ${step}; there are: ${steps}`,
  );
}

/**
 * A run that evaluations have ended is over, whatever its length.
 * @param label where the new length is from
 * @throws InputError when it is to have another one
 */
export function checkEnded(
  out: string,
  { step, steps: before, evaluations }: CheckpointState<Cursor>,
  { steps }: ScheduleOptions,
  label: string,
): void {
  if (!evaluations?.ended || steps === before) return;
  const { patience, best } = evaluations.ended;
  const reason = best
    ? `no better than ${best.metric} ${best.value} after step ${best.step}`
    : 'without a number';
  throw new InputError(
    `${label}: expected ${before} steps or none given for a run that --early-stop ended after step ${step} (the last ${patience} ` +
      `evaluations were ${reason}), found ${steps}; begin a new run there with --fork ${out}@${step}`,
  );
}

/**
 * Holds a run that goes on to the learning rates of the steps it has done: so its length may change where the schedule
 * says the same about them.
 * @param before steps that they were trained with
 * @param label where the new length is from
 * @throws InputError naming the first step whose rate would have been another one, or when the steps are done already
 */
export function checkLength(schedule: ScheduleOptions, before: number, done: number, label: string): void {
  const { steps } = schedule;
  if (steps === before) return;
  if (steps < done) {
    throw new InputError(
      `${label}: expected at least the ${done} steps that are done, found ${steps}; raise it`,
    );
  }
  for (let step = 1; step <= done; step++) {
    const [was, is] = [{ ...schedule, steps: before }, schedule].map((one) => learningRate(one, step));
    if (was === is) continue;
    throw new InputError(
      `${label}: expected ${before} steps, as the ${schedule.schedule} schedule of the run began with, found ${steps}: ` +
        `step ${step} would have had the rate ${is!.toPrecision(4)}, not ${was!.toPrecision(4)}; ` +
        'leave it out, or begin a new run at a checkpoint with --fork RUN@STEP',
    );
  }
}
