import { cpus } from 'node:os';
import { join } from 'node:path';
import { isDiskFull, RunError } from '../base/errors.js';
import { version } from '../base/version.js';
import { publishFile } from '../formats/checkpointFiles.js';
import type { StudyConfig } from './config.js';
import type { StudyPlan } from './plan.js';
import type { StudyRecord } from './records.js';

/** The models of a study as they are. */
export type AsTheyAre = Pick<StudyRecord, 'base' | 'teacher'>;

/** All that a study has found so far. @param device what it runs on, in words */
export function studyRecord(
  { name, written: config }: StudyConfig,
  plan: StudyPlan,
  models: AsTheyAre,
  device: string,
): StudyRecord {
  const { records: cells, axes, notes, jobs } = plan;
  const machine = `${cpus()[0]?.model.trim() ?? process.arch}, ${device}`;
  const seconds = cells.reduce((sum, cell) => sum + cell.seconds, 0);
  return {
    ...{ name, version, machine, config, axes, ...models, cells, notes },
    ...{ remaining: jobs.length, seconds: Number(seconds.toFixed(3)) },
  };
}

/** Publishes `cells.json`: a kill at any instant leaves the one before or this one. */
export function writeStudy(folder: string, record: StudyRecord): void {
  publishFile(join(folder, 'cells.json'), [new TextEncoder().encode(`${JSON.stringify(record)}\n`)]);
}

/** Why a study can't go on: of a disk that is full, what to do; anything else as it is. @param out its folder */
export function explained(error: Error, out: string): Error {
  if (!isDiskFull(error)) return error;
  const [reason] = error.message.split('; ');
  return new RunError(
    `${out}: expected room on the disk, found none (${reason}); free some space, then give the same command again`,
    { cause: error },
  );
}
