import { existsSync } from 'node:fs';
import { listCheckpoints } from '../formats/checkpointFiles.js';
import { runPaths } from '../formats/runFolder.js';
import type { EarlyStop, Measured } from '../records.js';

/** How a run ended. */
export interface RunResult {
  readonly out: string;
  /** Folder of the weights after `steps`, an adapter's or a model's; neither when no step was done. */
  readonly adapter?: string;
  readonly model?: string;
  /** Steps that are done and saved. */
  readonly steps: number;
  /** Steps done after these, where a stop left no time to save them. */
  readonly unsaved?: number;
  /** Whether these are all; false when the run was stopped. */
  readonly finished: boolean;
  /** Why it was over, whatever its length: also where that was its last step. */
  readonly earlyStop?: EarlyStop;
  /** What `best/` is of, where the best is kept. */
  readonly best?: Measured;
  /** Of a dry run: what a step will take, evaluations and checkpoints aside. */
  readonly estimate?: { readonly secondsPerStep: number };
}

/** Of a run that is stopped: as far as it is on the disk. */
export function stoppedResult(out: string): RunResult {
  const last = listCheckpoints(runPaths(out).checkpoints).at(-1);
  if (!last) return { out, steps: 0, finished: false };
  const { adapter, model } = runPaths(last.path);
  return { out, steps: last.step, finished: false, ...(existsSync(adapter) ? { adapter } : { model }) };
}

/** Whether a run was stopped before there was anything that it could go on from. */
export const isNothingSaved = ({ finished, adapter, model, unsaved }: RunResult): boolean =>
  !finished && unsaved === undefined && adapter === undefined && model === undefined;
