import { filter } from 'rxjs';
import { stringify } from 'yaml';
import { type CommandTexts, commandOf } from './command.js';
import { runProgram } from './exit.js';
import { type Run, type RunResult, train } from './index.js';
import { miniaturePaths, readMiniatureResults } from './miniature/index.js';
import { TRAIN_OPTIONS, type TrainInput, type TrainOptions } from './options.js';
import { totalBytes } from './prepare.js';
import { showDownloads } from './report/downloads.js';
import { clock, showProgress } from './report/progress.js';
import { quickstartTable } from './report/quickstart.js';

const mib = (bytes: number): string => `${Math.ceil(bytes / 2 ** 20).toLocaleString('en')} MiB`;

type Prepared = Awaited<Run['prepared']>;

/** What the run is about to do, line by line. */
function planOf(prepared: Prepared): string[] {
  const { student, schedule, microBatch, options, parameters, plans, out, device, resume } = prepared;
  const { batch, sequence } = options;
  const from = resume ? `, resumed after step ${resume.state.step}` : '';
  const tokens = schedule.steps * batch * sequence;
  return [
    `rivulet: ${options.student ?? options.fromConfig}${plans.teacher ? ` taught by ${options.teacher}` : ''} on ${device}`,
    `  training  ${student.lora ? `adapter of rank ${student.lora.rank}` : 'all weights'}, ` +
      `${parameters.toLocaleString('en')} parameters -> ${out}${from}`,
    `  batch     ${batch} x ${sequence} tokens in micro-batches of ${microBatch}${student.recompute ? ', recomputing blocks' : ''}`,
    `  length    ${schedule.steps} step${schedule.steps === 1 ? '' : 's'}, ${tokens.toLocaleString('en')} tokens`,
    `  memory    student ${mib(totalBytes(plans.student))}${plans.teacher ? `, teacher ${mib(totalBytes(plans.teacher))}` : ''}`,
  ];
}

/** The plan as comments, then the options: together a file for --config. */
function dryRunText(prepared: Prepared, { steps, estimate }: RunResult): string {
  const { secondsPerStep } = estimate!;
  const left = (prepared.schedule.steps - steps) * secondsPerStep;
  const time = `  time      about ${clock(left)} (${secondsPerStep.toPrecision(2)} s a step; evaluations and checkpoints come on top)`;
  const { dryRun: _, resume: __, ...options } = prepared.options;
  const comments = [...planOf(prepared), time].map((line) => `# ${line}\n`);
  return `${comments.join('')}${stringify(options)}`;
}

/** The first signal ends the run after the current step; a second one ends the process at once. */
function stopOnSignals(run: Run): void {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    let seen = false;
    process.on(signal, () => {
      if (seen) dieOf(signal);
      seen = true;
      process.stderr.write(`\n${signal}: finishing the step and saving; once more to stop at once\n`);
      run.stop();
    });
  }
}

/** The system ends the process: an exit of its own would wait for threads, and Dawn aborts in one that waits for a GPU. */
function dieOf(signal: NodeJS.Signals): void {
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
}

function summary({ out, adapter, model, steps, finished }: RunResult, student: string | undefined): string {
  if (!finished) {
    return `stopped after step ${steps}; to continue:\n  node dist/train.js --resume --out ${out}`;
  }
  const made = adapter ? `--model ${student} --adapter ${adapter}` : `--model ${model}`;
  return `${adapter ? 'adapter' : 'model'} in ${adapter ?? model}; to evaluate it:\n  node dist/evaluate.js ${made} --perplexity FILE`;
}

/** Held-out losses of a run so far, in nats per token, first to last. */
function heldOutLosses(run: Run): number[] {
  const losses: number[] = [];
  run.metrics$.subscribe({
    next: (record) => {
      if (record.type === 'eval') losses.push(record.nll);
    },
    error() {},
  });
  return losses;
}

const isQuickstart = ({ student, evalData }: TrainOptions): boolean =>
  student === miniaturePaths().student && evalData === miniaturePaths().heldOut;

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

await runProgram(async () => {
  const run = train(commandOf(TEXTS, TRAIN_OPTIONS).parse().opts<TrainInput>());
  run.metrics$
    .pipe(filter((record) => record.type === 'download'))
    .subscribe({ next: showDownloads(), error() {} });
  const prepared = await run.prepared;
  if (prepared.options.dryRun) {
    process.stdout.write(dryRunText(prepared, await run.finished));
    return;
  }
  stopOnSignals(run);
  process.stderr.write(`${planOf(prepared).join('\n')}\n`);
  const progress = showProgress(run.metrics$, prepared.schedule.steps);
  const losses = heldOutLosses(run);
  const result = await run.finished;
  progress.unsubscribe();
  if (result.finished && isQuickstart(prepared.options)) {
    process.stdout.write(`${quickstartTable(readMiniatureResults(), losses)}\n\n`);
  }
  process.stdout.write(`${summary(result, prepared.options.student)}\n`);
});
