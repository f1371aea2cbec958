import { throwIfStopped, unlessStopped } from '../base/stopping.js';
import type { DeviceHosts } from '../devices/host.js';
import { type StepTimes, stepTimes } from '../prepare/estimate.js';
import { type Preparation, prepare } from '../prepare/prepare.js';
import { resolveOptions } from '../prepare/resolveOptions.js';
import type { Place } from '../world/world.js';
import { devicesOf } from './devices.js';
import type { StudyPlan } from './plan.js';
import type { Bounds, StudyEstimate } from './records.js';

/**
 * Checks a cell of every line as far as a run is checked before it begins, and times a step of each distinct shape.
 * @returns undefined where the signal says stop
 * @throws InputError for a line that can't be run
 */
export async function estimateStudy(
  plan: StudyPlan,
  place: Pick<Place, 'localRank' | 'localSize'>,
  signal: AbortSignal,
): Promise<StudyEstimate | undefined> {
  const devices = devicesOf(plan, place);
  try {
    const hosts = await devices.open(undefined);
    return await unlessStopped(() => estimated(plan, hosts, signal), signal, 'estimate the study');
  } finally {
    await devices.close();
  }
}

async function estimated(plan: StudyPlan, devices: DeviceHosts, signal: AbortSignal): Promise<StudyEstimate> {
  const known = new Map<string, StepTimes>();
  const sums = { cells: [0, 0], tokens: [0, 0], seconds: [0, 0] };
  const add = (name: keyof typeof sums, { least, most }: Bounds, each: number) => {
    sums[name][0]! += least * each;
    sums[name][1]! += most * each;
  };
  for (const job of plan.firstJobs) {
    throwIfStopped(signal, 'estimate the study');
    const prepared = await prepare(resolveOptions({ ...job.options, dryRun: true }), devices, () => {});
    const shape = shapeOf(prepared);
    const times = known.get(shape) ?? (await stepTimes(prepared, devices));
    known.set(shape, times);
    const { steps } = prepared.schedule;
    const bounds = plan.boundsOf(job.line);
    add('cells', bounds, 1);
    add('tokens', bounds, job.tokens);
    const seconds = steps * (prepared.student.microBatches * times.microBatch + times.update);
    add('seconds', bounds, seconds);
    const { cells, tokens } = plan.branchesOf(job.line);
    sums.cells[1]! += cells;
    sums.tokens[1]! += tokens;
    sums.seconds[1]! += (tokens / job.tokens) * seconds;
  }
  const bounds = ([least, most]: number[]) => ({ least: least!, most: most! });
  return { cells: bounds(sums.cells), tokens: bounds(sums.tokens), seconds: bounds(sums.seconds) };
}

/** Runs whose programs take the same time have the same. */
function shapeOf({ options, student, teacher, microBatch }: Preparation): string {
  const { lora, recompute } = student;
  const { student: model, fromConfig, sequence, teacher: name, divergence } = options;
  const models = teacher ? [model, fromConfig, name, divergence] : [model, fromConfig];
  return JSON.stringify([models, lora, recompute, sequence, microBatch]);
}
