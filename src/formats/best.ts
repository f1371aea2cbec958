import { cpSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { InputError } from '../base/errors.js';
import type { MeasuredValue } from '../messages.js';
import { publishFile, removeFolder, replaceFolder } from './checkpointFiles.js';
import { type Artifact, writeArtifact } from './parameters.js';
import type { TensorSource } from './tensors/source.js';

/*
 * What the best evaluation of a run so far was of: `best/` is an adapter or a model, with `best.json`, which says the
 * metric, its value and the step. Each checkpoint has a copy, so that a run that goes on has the best up to there.
 */

export const BEST_FOLDER = 'best';
const BEST_FILE = 'best.json';

/**
 * Publishes the best so far in place of the one before. A kill leaves the one before, the whole new one, or none: a run
 * that goes on takes it from its checkpoint.
 */
export async function writeBest(
  path: string,
  artifact: Artifact,
  {
    parameters,
    start,
  }: { readonly parameters: readonly TensorSource[]; readonly start: readonly TensorSource[] },
  best: MeasuredValue,
): Promise<void> {
  await replaceFolder(path, async (unfinished) => {
    await writeArtifact(unfinished, artifact, parameters, start);
    publishFile(join(unfinished, BEST_FILE), [new TextEncoder().encode(`${JSON.stringify(best)}\n`)]);
  });
}

/** Puts the best of a checkpoint into its unfinished folder. */
export const keepBest = (path: string, checkpoint: string): void =>
  cpSync(path, join(checkpoint, BEST_FOLDER), { recursive: true });

/** Has `path` hold the best that a run had when the checkpoint was made: none where it had none, or begins. */
export async function restoreBest(path: string, checkpoint: string | undefined): Promise<void> {
  const kept = checkpoint && join(checkpoint, BEST_FOLDER);
  if (!kept || !existsSync(kept)) removeFolder(path);
  else await replaceFolder(path, (unfinished) => cpSync(kept, unfinished, { recursive: true }));
}

/** @throws InputError for something that no run has put there: it would be replaced */
export function checkBest(path: string): void {
  if (!existsSync(path) || existsSync(join(path, BEST_FILE))) return;
  throw new InputError(
    `${path}: expected nothing there, or what --keep-best has put there, found something else; rename it, or choose another --out`,
  );
}
