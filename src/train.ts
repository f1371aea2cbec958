import { filter } from 'rxjs';
import { type CommandTexts, commandOf } from './cli/command.js';
import { ownOptions, runRanks } from './cli/ranks.js';
import { exitAfter, stopOnSignals } from './cli/signals.js';
import { dryRunText, hasTeacher, isQuickstart, planOf, stoppedText, summary } from './cli/trainTexts.js';
import { runPaths } from './formats/runFolder.js';
import { train } from './index.js';
import { TRAIN_OPTIONS, type TrainInput } from './options/train.js';
import { readMiniatureResults } from './prepare/miniature.js';
import { showDownloads } from './report/downloads.js';
import { showProgress } from './report/progress.js';
import { heldOutLosses, quickstartTable } from './report/quickstart.js';
import { showStarting } from './report/starting.js';

const TEXTS: CommandTexts = {
  name: 'train',
  description:
    'Trains a LoRA adapter with distillation: a foundation adapter. With no model and no text named, it trains on the ' +
    'bundled miniature.',
  usage: ['--student MODEL --data PATH... [options]', '--resume --out DIR [options]', '[options]'],
  examples: [
    '--batch 64',
    '--student STUDENT --teacher TEACHER --data text.txt',
    '--resume --out runs/0001',
    '--config run.yaml --lr 1e-3 --dry-run',
  ],
};

await runRanks(async (world) => {
  const speaks = world.rank === 0;
  const run = train(await ownOptions<TrainInput>(world, commandOf(TEXTS, TRAIN_OPTIONS)), world);
  const came = stopOnSignals(run);
  run.finished.catch(() => {});
  run.metrics$.pipe(filter((record) => record.type === 'download')).subscribe(showDownloads());
  const starting = showStarting();
  run.metrics$
    .pipe(filter((record) => record.type === 'progress'))
    .subscribe({ next: starting.update, error: starting.clear });
  const plan = await run.prepared.catch((error: unknown) => {
    if (!came.signal) throw error;
    return undefined;
  });
  starting.clear();
  if (plan?.options.dryRun) {
    const result = await run.finished;
    if (speaks) process.stdout.write(dryRunText(plan, result));
    return undefined;
  }
  if (plan && speaks) process.stderr.write(`${planOf(plan).join('\n')}\n`);
  const progress =
    plan && speaks && showProgress(run.metrics$, { steps: plan.steps, hasTeacher: hasTeacher(plan.options) });
  const result = await run.finished;
  if (progress) progress.unsubscribe();
  if (!result.finished) {
    if (speaks) process.stdout.write(`${stoppedText(result, plan)}\n`);
    // Without one of its own, another rank has had the signal.
    const { signal } = came;
    return signal && (() => exitAfter(signal));
  }
  if (!speaks) return undefined;
  if (isQuickstart(plan!.options)) {
    const losses = heldOutLosses(runPaths(result.out).metrics);
    process.stdout.write(`${quickstartTable(readMiniatureResults(), losses)}\n\n`);
  }
  process.stdout.write(`${summary(result, plan!)}\n`);
  return undefined;
});
