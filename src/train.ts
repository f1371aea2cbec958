import { commandOf } from './command.js';
import { runProgram } from './exit.js';
import { type Run, type RunResult, train } from './index.js';
import { TRAIN_OPTIONS, type TrainInput } from './options.js';
import { totalBytes } from './prepare.js';
import { showProgress } from './report/progress.js';

const mib = (bytes: number): string => `${Math.ceil(bytes / 2 ** 20).toLocaleString('en')} MiB`;

/** What the run is about to do, on stderr. */
async function announce(run: Run): Promise<number> {
  const { student, teacher, schedule, microBatch, options, parameters, plans, out, device, resume } =
    await run.prepared;
  const from = resume ? `, resumed after step ${resume.state.step}` : '';
  const lines = [
    `rivulet: ${options.student}${teacher ? ` taught by ${teacher.folder}` : ''} on ${device}`,
    `  adapter   rank ${student.lora.rank}, ${parameters.toLocaleString('en')} parameters -> ${out}${from}`,
    `  batch     ${options.batch} x ${options.sequence} tokens in micro-batches of ${microBatch}, ${schedule.steps} steps`,
    `  memory    student ${mib(totalBytes(plans.student))}${plans.teacher ? `, teacher ${mib(totalBytes(plans.teacher))}` : ''}`,
  ];
  process.stderr.write(`${lines.join('\n')}\n`);
  return schedule.steps;
}

/** The first signal ends the run after the current step; a second one ends the process at once. */
function stopOnSignals(run: Run): void {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    let seen = false;
    process.on(signal, () => {
      if (seen) process.exit(signal === 'SIGINT' ? 130 : 143);
      seen = true;
      process.stderr.write(`\n${signal}: finishing the step and saving; once more to stop at once\n`);
      run.stop();
    });
  }
}

function summary({ out, adapter, steps, finished }: RunResult, model: string): string {
  if (!finished) {
    return `stopped after step ${steps}; to continue:\n  node dist/train.js --resume --out ${out}`;
  }
  return `adapter in ${adapter}; to evaluate it:\n  node dist/evaluate.js --model ${model} --adapter ${adapter} --perplexity FILE`;
}

await runProgram(async () => {
  const command = commandOf(
    'train',
    'Trains a LoRA adapter with distillation: a foundation adapter.',
    TRAIN_OPTIONS,
  );
  const run = train(command.parse().opts<TrainInput>());
  stopOnSignals(run);
  const progress = showProgress(run.metrics$, await announce(run));
  const result = await run.finished;
  progress.unsubscribe();
  const { options } = await run.prepared;
  process.stdout.write(`${summary(result, options.student)}\n`);
});
