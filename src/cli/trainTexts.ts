import { stringify } from 'yaml';
import { calling, quoted } from '../base/invocation.js';
import type { Run } from '../library/train.js';
import type { TrainOptions } from '../options/train.js';
import { totalBytes } from '../prepare/memory.js';
import { miniaturePaths } from '../prepare/miniature.js';
import { clock } from '../report/progress.js';
import type { RunResult } from '../run/run.js';

const mib = (bytes: number): string => `${Math.ceil(bytes / 2 ** 20).toLocaleString('en')} MiB`;

type Prepared = Awaited<Run['prepared']>;

/** What the run is about to do, line by line. */
export function planOf(prepared: Prepared): string[] {
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
export function dryRunText(prepared: Prepared, { steps, estimate }: RunResult): string {
  const { secondsPerStep } = estimate!;
  const left = (prepared.schedule.steps - steps) * secondsPerStep;
  const time = `  time      about ${clock(left)} (${secondsPerStep.toPrecision(2)} s a step; evaluations and checkpoints come on top)`;
  const { dryRun: _, resume: __, ...options } = prepared.options;
  const comments = [...planOf(prepared), time].map((line) => `# ${line}\n`);
  return `${comments.join('')}${stringify(options)}`;
}

/** The last lines of a run: where its result is, and what to do with it. */
export function summary(
  { out, adapter, model, steps, finished }: RunResult,
  student: string | undefined,
): string {
  if (!finished) {
    return `stopped after step ${steps}; to continue:\n  ${calling('train')} --resume --out ${quoted(out)}`;
  }
  const made = adapter
    ? `--model ${quoted(student!)} --adapter ${quoted(adapter)}`
    : `--model ${quoted(model!)}`;
  return `${adapter ? 'adapter' : 'model'} in ${adapter ?? model}; to evaluate it:\n  ${calling('evaluate')} ${made} --perplexity FILE`;
}

/** Held-out losses of a run so far, in nats per token, first to last. */
export function heldOutLosses(run: Run): number[] {
  const losses: number[] = [];
  run.metrics$.subscribe({
    next: (record) => {
      if (record.type === 'eval') losses.push(record.nll);
    },
    error() {},
  });
  return losses;
}

/** Whether a run is the one on the bundled miniature, whose results are known. */
export const isQuickstart = ({ student, evalData }: TrainOptions): boolean =>
  student === miniaturePaths().student && evalData === miniaturePaths().heldOut;
