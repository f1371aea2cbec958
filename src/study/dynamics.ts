import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { checkpointPath } from '../formats/checkpointFiles.js';
import { runPaths } from '../formats/runFolder.js';
import type { Preparation } from '../prepare/prepare.js';
import { readRecords } from '../report/journal.js';
import { adapterChanges, type DynamicsHooks } from '../training/dynamics.js';
import type { DynamicsPoint } from './records.js';

/**
 * What the adapter of a run that has ended did to the weights of its model: at its checkpoints, evenly spaced, and at the
 * end. Of an adapter that it started from, too, the change is that from the model.
 * @returns none for a run without an adapter, and where one of these checkpoints is not there any more
 * @throws InputError for weights or a checkpoint that can't be read, RunError when the signal says stop
 */
export async function runDynamics(
  { out, options, schedule: { steps }, student: { student, lora } }: Preparation,
  hooks: DynamicsHooks,
): Promise<DynamicsPoint[]> {
  if (!lora) return [];
  const { metrics, checkpoints } = runPaths(out);
  const tokens = new Map<number, number>();
  for (const record of readRecords(metrics)) {
    if (record.type === 'step') tokens.set(record.step, record.tokens);
  }
  const { checkpointEvery: every } = options;
  const inner = Array.from({ length: Math.ceil(steps / every) - 1 }, (_, i) => (i + 1) * every);
  const folders = [...inner.map((step) => checkpointPath(checkpoints, step)), out];
  if (!folders.every(existsSync)) return [];
  const changes = await adapterChanges(
    student,
    lora,
    folders,
    options.threads ?? availableParallelism(),
    hooks,
  );
  return changes.map(({ norm, stableRank, top, bottom }, i) => {
    const step = inner[i] ?? steps;
    return { step, tokens: tokens.get(step) ?? 0, norm, stable_rank: stableRank, top, bottom };
  });
}
