import { stringify } from 'yaml';
import { calling, quoted } from '../base/invocation.js';
import { holdsRun, runPaths } from '../formats/runFolder.js';
import type { RanksPlan } from '../library/ranksPlan.js';
import type { CachePlan, RunPlan } from '../library/runPlan.js';
import type { TrainOptions } from '../options/train.js';
import { miniaturePaths } from '../prepare/miniature.js';
import type { EarlyStop, Measured } from '../records.js';
import { clock } from '../report/progress.js';
import type { RunResult } from '../run/result.js';

const mib = (bytes: number): string => `${Math.ceil(bytes / 2 ** 20).toLocaleString('en')} MiB`;

/** What the run is about to do, line by line. */
export function planOf(plan: RunPlan): string[] {
  const { steps, microBatch, options, parameters, memory, out, device, rank } = plan;
  const { batch, sequence } = options;
  const from = plan.forkedFrom === undefined ? 'resumed' : `forked from ${plan.forkedFrom}`;
  const begun = plan.asked.resume ? ', from the start: no checkpoint was there to go on from' : '';
  const after = plan.resumedFrom === undefined ? begun : `, ${from} after step ${plan.resumedFrom}`;
  return [
    ...plan.damaged,
    `rivulet: ${options.student ?? options.fromConfig}${hasTeacher(options) ? ` taught by ${options.teacher}` : ''} on ${device}`,
    `  training  ${rank === undefined ? 'all weights' : `adapter of rank ${rank}`}, ` +
      `${parameters.toLocaleString('en')} parameters -> ${out}${after}`,
    `  batch     ${batch} x ${sequence} tokens in micro-batches of ${microBatch}${plan.recompute ? ', recomputing blocks' : ''}`,
    `  length    ${steps} step${steps === 1 ? '' : 's'}, ${(steps * batch * sequence).toLocaleString('en')} tokens`,
    `  memory    student ${mib(memory.student)}${memory.teacher === undefined ? '' : `, teacher ${mib(memory.teacher)}`}`,
    ...(plan.ranks ? rankLines(plan.ranks) : []),
    ...absentLines(plan.absentWeights),
    ...(plan.teacherCache ? cacheLines(plan.teacherCache) : []),
  ];
}

/** Who shares the batches, a line each. */
function rankLines({ library, ranks }: RanksPlan): string[] {
  const size = ranks.length;
  const sent = Math.max(...ranks.map((rank) => rank.sent));
  const each = ranks.map(({ host, device, microBatches: { first, count }, memory, exchange }, i) => {
    const which = count === 1 ? `micro-batch ${first + 1}` : `micro-batches ${first + 1} to ${first + count}`;
    return `            ${i}  ${host}: ${which}, ${mib(memory)} and ${mib(exchange)} for sums, ${device}`;
  });
  return [
    `  ranks     ${size} by ${library}${size > 1 ? `; each sends at most ${mib(sent)} a step` : ''}`,
    ...(size > 1 ? each : []),
  ];
}

const KNOWN_FROM = { headers: 'their headers on the Hub', config: 'its config.json' } as const;

/** What sizes are from where weights are not here, which a run would fetch or need. */
const absentLines = (absent: RunPlan['absentWeights']): string[] =>
  Object.entries(absent).map(
    ([model, from]) =>
      `            the ${model}'s weights are not here: sizes are those of ${KNOWN_FROM[from]}`,
  );

export const hasTeacher = ({ teacher }: TrainOptions): boolean => teacher !== 'none';

/** What is kept of the teacher, and whether there is room for it. */
function cacheLines({ folder, dtype, mostBytes, storedBytes, freeBytes, ...cache }: CachePlan): string[] {
  const line = `  cache     ${folder}: ${dtype}, ${cache.bytesPerToken.toLocaleString('en')} bytes a token, ${mib(storedBytes)} there`;
  if (cache.isCovered) return [`${line}, all of this text: no teacher starts`];
  if (cache.filledOn !== undefined) {
    return [`${line}, of ${cache.filledOn} kernels: the run stops where a piece is missing`];
  }
  const room = `${line}; at most ${mib(mostBytes)} for this run, ${mib(freeBytes)} free; the teacher starts where a piece is missing`;
  const missing = mostBytes - storedBytes - freeBytes;
  return missing <= 0
    ? [room]
    : [room, `            the disk may fill up: the run would go on and keep no more`];
}

/** The plan as comments, then the options: together a file for --config. */
export function dryRunText(plan: RunPlan, { steps, estimate }: RunResult): string {
  const { secondsPerStep } = estimate!;
  const left = (plan.steps - steps) * secondsPerStep;
  const time = `  time      about ${clock(left)} (${secondsPerStep.toPrecision(2)} s a step; evaluations and checkpoints come on top)`;
  // What the run would choose by itself is left to it, so that the file serves again and again.
  const { dryRun: _, resume: __, config: ___, ...asked } = plan.asked;
  const options = asked.epochs === undefined ? asked : { ...asked, steps: undefined };
  const comments = [...planOf(plan), time].map((line) => `# ${line}\n`);
  return `${comments.join('')}${stringify(options)}`;
}

/** The last lines of a run: where its result is, and what to do with it. */
export function summary({ out, adapter, model, steps, earlyStop, best }: RunResult, plan: RunPlan): string {
  const made = adapter
    ? `--model ${quoted(plan.options.student!)} --adapter ${quoted(adapter)}`
    : `--model ${quoted(model!)}`;
  const wasFinished = plan.resumedFrom === plan.steps;
  const finished = wasFinished
    ? `the run in ${out} was finished after step ${plan.steps}, and is as it was; --steps N makes it longer where its schedule allows that\n`
    : '';
  const kept = best
    ? `the best by ${best.metric}, ${shortValue(best)}, is in ${runPaths(out).best}: what was after step ${best.step}\n`
    : '';
  const early = earlyStop ? `${earlyStopText(earlyStop, steps)}\n` : '';
  return `${finished}${early}${kept}${adapter ? 'adapter' : 'model'} in ${adapter ?? model}; to evaluate it:\n  ${calling('evaluate')} ${made} --perplexity FILE`;
}

const shortValue = ({ value }: Measured): string => String(Number(value.toPrecision(5)));

/** Where and why a run was over, whatever its length. */
function earlyStopText({ patience, best }: EarlyStop, step: number): string {
  const than = best
    ? `no better than ${best.metric} ${shortValue(best)} after step ${best.step}`
    : 'no numbers';
  return `ended after step ${step}: ${patience} evaluation${patience === 1 ? ' was' : 's in a row were'} ${than}`;
}

/** The last lines of a run that was stopped: what is saved, and how to go on. */
export function stoppedText(
  { out, adapter, model, steps, unsaved }: RunResult,
  plan: RunPlan | undefined,
): string {
  const isBegun = plan !== undefined && holdsRun(out);
  const goOn = isBegun
    ? `to continue:\n  ${calling('train')} --resume --out ${quoted(out)}`
    : 'nothing was written';
  const lost = unsaved ? `the ${unsaved} after it could not be saved in time; ` : '';
  if (steps === 0 && !unsaved) return `stopped before the first step was done; nothing is saved; ${goOn}`;
  const saved = steps > 0 ? `its weights are in ${adapter ?? model}; ` : '';
  return `stopped after step ${steps}; ${saved}${lost}${goOn}`;
}

/** Whether a run is the one on the bundled miniature, whose results are known. */
export const isQuickstart = ({ student, evalData }: TrainOptions): boolean =>
  student === miniaturePaths().student && evalData === miniaturePaths().heldOut;
