import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { InputError } from '../base/errors.js';
import { checkpointPath } from '../formats/checkpointFiles.js';
import { runPaths } from '../formats/runFolder.js';
import type { Preparation } from '../prepare/prepare.js';
import { readRecords } from '../report/journal.js';
import { adapterChanges, type DynamicsHooks } from '../training/dynamics.js';
import type { DynamicsPoint } from './records.js';

interface StudyDynamicsHooks {
  readonly note: (text: string) => void;
  readonly signal: AbortSignal;
}

/** A large model's singular vectors take long, the first time. */
const SOON_MS = 10_000;

/**
 * What the adapter of a cell did to the weights of its model: at its checkpoints, evenly spaced, and at the end. Of an adapter
 * that it started from, too, the change is that from the model. What can't be read is told, and leaves it out.
 * @param before what was found when the cell had just been run, whose checkpoints may be gone by now
 * @returns none for a run without an adapter or a fork, and where one of the checkpoints is not there any more
 * @throws RunError when the signal says stop
 */
export async function cellDynamics(
  before: readonly DynamicsPoint[],
  prepared: Preparation,
  { note, signal }: StudyDynamicsHooks,
): Promise<DynamicsPoint[]> {
  if (before.length > 0) return [...before];
  try {
    return await runDynamics(prepared, { problem: note, progress: toldOnce(note), signal });
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    note(error.message);
    return [];
  }
}

async function runDynamics(
  { out, options, schedule: { steps }, student: { student, lora } }: Preparation,
  hooks: DynamicsHooks,
): Promise<DynamicsPoint[]> {
  if (!lora || options.fork !== undefined) return [];
  const { metrics, checkpoints } = runPaths(out);
  const { checkpointEvery: every, threads = availableParallelism() } = options;
  const inner = Array.from({ length: Math.ceil(steps / every) - 1 }, (_, i) => (i + 1) * every);
  const folders = [...inner.map((step) => checkpointPath(checkpoints, step)), out];
  if (!folders.every((folder) => existsSync(folder))) return [];
  const changes = await adapterChanges(student, lora, folders, threads, hooks);
  const tokens = new Map<number, number>();
  for (const record of readRecords(metrics)) {
    if (record.type === 'step') tokens.set(record.step, record.tokens);
  }
  return changes.map(({ norm, stableRank, top, bottom }, i) => {
    const step = inner[i] ?? steps;
    return { step, tokens: tokens.get(step) ?? 0, norm, stable_rank: stableRank, top, bottom };
  });
}

function toldOnce(note: (text: string) => void): (done: number, total: number) => void {
  const start = performance.now();
  let isTold = false;
  return (done, total) => {
    if (isTold || performance.now() - start < SOON_MS) return;
    isTold = true;
    note(
      `dynamics: ${done} of ${total} layers are looked through; their singular vectors are found once, and kept`,
    );
  };
}
