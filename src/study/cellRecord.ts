import type { TrainOptions } from '../options/train.js';
import { commandOf, toldOptions } from './command.js';
import type { Job } from './plan.js';
import type { CellRecord } from './records.js';
import type { CellResult } from './store.js';

/**
 * A cell as a study tells of it: its place and how to make it, with what it came to.
 * @param fork of a branch: `RUN@STEP`
 */
export function cellRecord(
  { axes, branch, line, given }: Job,
  {
    key,
    options,
    fork,
  }: { readonly key: string; readonly options: TrainOptions; readonly fork?: string | undefined },
  { reason, status, ...rest }: Omit<CellResult, 'status'> & Pick<CellRecord, 'status'>,
): CellRecord {
  const told = toldOptions(options);
  return {
    ...{ key, axes, view: line.view },
    ...(branch && { branch }),
    ...{ status, ...(reason === undefined ? {} : { reason }), options: told },
    command: commandOf(fork === undefined ? told : { fork, ...given }),
    ...rest,
  };
}

/** What a cell that could not be run came to. */
export const failure = (reason: string) => ({
  ...({ status: 'failed', reason } as const),
  ...{ steps: 0, tokens: 0, seconds: 0, measures: {}, curve: [], training: [], dynamics: [] },
});
