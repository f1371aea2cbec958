import { join } from 'node:path';
import { type Observable, Subject } from 'rxjs';
import { atOnce } from '../base/atOnce.js';
import { InputError } from '../base/errors.js';
import { holdsRun, type RunFolder, takeRunFolder } from '../formats/runFolder.js';
import { STUDY_OPTIONS, type StudyInput } from '../options/study.js';
import { checkedOptions } from '../options/table.js';
import { readStudyConfig } from '../study/config.js';
import { StudyEngine } from '../study/engine.js';
import { estimateStudy } from '../study/estimate.js';
import { StudyPlan } from '../study/plan.js';
import type { CellRecord, StudyEstimate, StudyProgress, StudyRecord } from '../study/records.js';
import { explained } from '../study/studyFile.js';
import { fromFirst, together } from '../world/together.js';
import { ALONE, type World } from '../world/world.js';
import { outcomeOf } from './failures.js';
import { createStop } from './stop.js';

/** How a study ended. */
export interface StudyResult {
  readonly out: string;
  /** Of a dry run, which has no cells: what the study comes to. */
  readonly estimate?: StudyEstimate;
  /** Whether nothing is left to run; false when it was stopped. */
  readonly finished: boolean;
  /** Cells that have ended, those among them that failed, and those that are still to be run as far as is known. */
  readonly cells: number;
  readonly failed: number;
  readonly remaining: number;
}

/** A study in progress. */
export interface Study {
  /** Every cell as it ends, also those that were there already: hot, so subscribe in the same turn as `study`. */
  readonly cells$: Observable<CellRecord>;
  /** How far it is: at the beginning of each cell, and after each of its steps. */
  readonly progress$: Observable<StudyProgress>;
  /** What is not as it should be and what was done about it, a line each. */
  readonly notes$: Observable<string>;
  /** Resolves once all that ended is in `cells.json`; rejects with an InputError or a RunError. */
  readonly finished: Promise<StudyResult>;
  /** Ends the study within about five seconds, and reports what there is; given again, it goes on where it was, amid a cell. */
  stop(): void;
}

/**
 * Runs a grid of trainings to one question: the library form of `node dist/study.js`. Errors reach `cells$` and `finished`
 * alike, as those of `train`.
 * @param world the ranks that share the cells out; all of them hear of every cell, rank 0 of the notes of all
 */
export function study(options: StudyInput, world: World = ALONE): Study {
  const [cells, progress, notes] = [
    new Subject<CellRecord>(),
    new Subject<StudyProgress>(),
    new Subject<string>(),
  ];
  const given = atOnce(() => checkedOptions(STUDY_OPTIONS, options));
  const stop = createStop();
  let failed = 0;
  const hooks = {
    cell: (record: CellRecord) => {
      if (record.status === 'failed') failed++;
      cells.next(record);
    },
    progress: (told: StudyProgress) => progress.next(told),
    note: (text: string) => notes.next(text),
    shouldStop: () => stop.isAsked,
    stopped: stop.asked,
  };
  const work = async (): Promise<StudyResult> => {
    const { out, cells, dryRun, config, plan } = await together(world, 'study: its file', () => {
      const { config: path, out, cells = join(out, 'cells'), dryRun } = given();
      const config = readStudyConfig(path);
      return { out, cells, dryRun, config, plan: new StudyPlan(config) };
    });
    if (dryRun) {
      const estimated = (signal: AbortSignal) => estimateStudy(plan, world, signal);
      const estimate = await fromFirst(world, 'study: its estimate', estimated, stop.signal);
      return { out, ...NOTHING, remaining: plan.jobs.length, ...(estimate && { estimate }) };
    }
    const isFirst = world.rank === 0;
    const folder = await together(world, 'study: its folder', () =>
      isFirst ? takeStudyFolder(out) : undefined,
    );
    try {
      const engine = new StudyEngine({ config, out, cells, world }, plan, hooks);
      const ending = await engine.run();
      await together(world, 'study: its report', () =>
        isFirst && ending.cells > 0 ? report(out, engine.record) : undefined,
      );
      return { out, failed, ...ending };
    } finally {
      folder?.release();
    }
  };
  const done = Promise.resolve()
    .then(work)
    .finally(() => {
      progress.complete();
      notes.complete();
    });
  const { finished, metrics$: cells$ } = outcomeOf(done, cells);
  return { cells$, progress$: progress, notes$: notes, finished, stop: stop.ask };
}

const NOTHING = { finished: false, cells: 0, failed: 0 };

async function takeStudyFolder(out: string): Promise<RunFolder> {
  if (holdsRun(out)) {
    throw new InputError(
      `--out: expected the folder of a study or a new one, found a run in ${out}; choose another`,
    );
  }
  return takeRunFolder(out, true);
}

/** Loaded when there is something to report: who trains has no use for statistics and plots. */
async function report(out: string, record: StudyRecord): Promise<void> {
  const { writeReport } = await import('../study/report.js');
  await writeReport(out, record).catch((error: Error) => {
    throw explained(error, out);
  });
}
