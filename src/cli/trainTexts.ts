import { stringify } from 'yaml';
import { calling, quoted } from '../base/invocation.js';
import { holdsRun } from '../formats/runFolder.js';
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
  const from = resume
    ? `, ${resume.forked ? `forked from ${resume.forked.run}` : 'resumed'} after step ${resume.state.step}`
    : '';
  const damaged = resume?.damaged.map(
    ({ message }) => `${withoutAdvice(message)}: set aside for ${resume.path}`,
  );
  const tokens = schedule.steps * batch * sequence;
  return [
    ...(damaged ?? []),
    `rivulet: ${options.student ?? options.fromConfig}${plans.teacher ? ` taught by ${options.teacher}` : ''} on ${device}`,
    `  training  ${student.lora ? `adapter of rank ${student.lora.rank}` : 'all weights'}, ` +
      `${parameters.toLocaleString('en')} parameters -> ${out}${from}`,
    `  batch     ${batch} x ${sequence} tokens in micro-batches of ${microBatch}${student.recompute ? ', recomputing blocks' : ''}`,
    `  length    ${schedule.steps} step${schedule.steps === 1 ? '' : 's'}, ${tokens.toLocaleString('en')} tokens`,
    `  memory    student ${mib(totalBytes(plans.student))}${plans.teacher ? `, teacher ${mib(totalBytes(plans.teacher))}` : ''}`,
  ];
}

/** A message without what it says to do. */
const withoutAdvice = (message: string): string => message.slice(0, message.lastIndexOf('; '));

/** The plan as comments, then the options: together a file for --config. */
export function dryRunText(prepared: Prepared, { steps, estimate }: RunResult): string {
  const { secondsPerStep } = estimate!;
  const left = (prepared.schedule.steps - steps) * secondsPerStep;
  const time = `  time      about ${clock(left)} (${secondsPerStep.toPrecision(2)} s a step; evaluations and checkpoints come on top)`;
  // What the run would choose by itself is left to it, so that the file serves again and again.
  const { dryRun: _, resume: __, config: ___, ...options } = prepared.asked;
  const comments = [...planOf(prepared), time].map((line) => `# ${line}\n`);
  return `${comments.join('')}${stringify(options)}`;
}

/** The last lines of a run: where its result is, and what to do with it. */
export function summary({ out, adapter, model }: RunResult, { options, resume, schedule }: Prepared): string {
  const made = adapter
    ? `--model ${quoted(options.student!)} --adapter ${quoted(adapter)}`
    : `--model ${quoted(model!)}`;
  const wasFinished = resume?.state.step === schedule.steps;
  const finished = wasFinished
    ? `the run in ${out} was finished after step ${schedule.steps}, and is as it was; --steps N makes it longer where its schedule allows that\n`
    : '';
  return `${finished}${adapter ? 'adapter' : 'model'} in ${adapter ?? model}; to evaluate it:\n  ${calling('evaluate')} ${made} --perplexity FILE`;
}

/** The last lines of a run that was stopped: what is saved, and how to go on. */
export function stoppedText(
  { out, adapter, model, steps, unsaved }: RunResult,
  prepared: Prepared | undefined,
): string {
  const isBegun = prepared !== undefined && holdsRun(out);
  const goOn = isBegun
    ? `to continue:\n  ${calling('train')} --resume --out ${quoted(out)}`
    : 'nothing was written';
  const lost = unsaved
    ? `the ${unsaved} after it could not be saved while an evaluation was on its way; `
    : '';
  if (steps === 0 && !unsaved) return `stopped before the first step was done; nothing is saved; ${goOn}`;
  const saved = steps > 0 ? `its weights are in ${adapter ?? model}; ` : '';
  return `stopped after step ${steps}; ${saved}${lost}${goOn}`;
}

/** Whether a run is the one on the bundled miniature, whose results are known. */
export const isQuickstart = ({ student, evalData }: TrainOptions): boolean =>
  student === miniaturePaths().student && evalData === miniaturePaths().heldOut;
