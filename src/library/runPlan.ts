import type { TrainOptions } from '../options/train.js';
import { totalBytes } from '../prepare/memory.js';
import type { Preparation } from '../prepare/prepare.js';
import type { RanksPlan } from './ranksPlan.js';

/** What a run is about to do: all of it is known before anything is written. */
export interface RunPlan {
  /** Folder of the run. */
  readonly out: string;
  /** As the run records them: what it chose by itself is filled in, and how it was started is left out. */
  readonly options: TrainOptions;
  /** As they were given, with the config file, the run that is resumed and the defaults filling the gaps. */
  readonly asked: TrainOptions;
  /** Where the models run, in words. */
  readonly device: string;
  /** Numbers that are trained. */
  readonly parameters: number;
  /** Optimizer steps of the whole run, those that are done included. */
  readonly steps: number;
  /** The step after which the run goes on, resumed or forked; undefined where it starts afresh. */
  readonly resumedFrom: number | undefined;
  /** Folder of the run that it is forked from. */
  readonly forkedFrom: string | undefined;
  /** Checkpoints that are damaged and will be set aside, a line each. */
  readonly damaged: readonly string[];
  /** Rows at once; divides the batch. */
  readonly microBatch: number;
  /** Of the LoRA factors, where a pattern says nothing else; undefined when all weights are trained. */
  readonly rank: number | undefined;
  /** Whether the backward pass computes activations again instead of keeping them. */
  readonly recompute: boolean;
  /** Bytes that each model takes on its device: weights, moments, gradients and activations. */
  readonly memory: { readonly student: number; readonly teacher?: number };
  /** Of a dry run: models whose weights are not here, and what their sizes are known from. */
  readonly absentWeights: {
    readonly student?: 'headers' | 'config';
    readonly teacher?: 'headers' | 'config';
  };
  /** The cache of the teacher's hidden states. */
  readonly teacherCache: CachePlan | undefined;
  /** Who shares the batches; undefined of a process that was started alone. */
  readonly ranks: RanksPlan | undefined;
}

export interface CachePlan {
  readonly folder: string;
  readonly dtype: 'f32' | 'bf16';
  /** Whether all of the text is known to be there: no teacher starts then. */
  readonly isCovered: boolean;
  /** Kernels that filled it, where those of this run are others: the teacher is not asked for what is missing. */
  readonly filledOn: string | undefined;
  readonly bytesPerToken: number;
  /** What the tokens of the whole run take where none of them are read twice. */
  readonly mostBytes: number;
  readonly storedBytes: number;
  /** On its disk. */
  readonly freeBytes: number;
}

/**
 * With the devices in words.
 * @internal
 */
export type PreparedOn = Preparation & { readonly device: string; readonly ranks: RanksPlan | undefined };

/**
 * The part of a preparation that callers are told.
 * @internal
 */
export function runPlan(prepared: PreparedOn): RunPlan {
  const { out, options, asked, device, parameters, schedule, resume, microBatch, student, plans, ranks } =
    prepared;
  const [ofStudent, ofTeacher] = [student.student.absent, prepared.teacher?.absent];
  return {
    out,
    options,
    asked,
    device,
    parameters,
    microBatch,
    steps: schedule.steps,
    resumedFrom: resume?.state.step,
    forkedFrom: resume?.forked?.run,
    damaged: (resume?.damaged ?? []).map(
      ({ message }) => `${withoutAdvice(message)}: set aside for ${resume!.path}`,
    ),
    rank: student.lora?.rank,
    recompute: student.recompute,
    memory: {
      student: totalBytes(plans.student),
      ...(plans.teacher && { teacher: totalBytes(plans.teacher) }),
    },
    absentWeights: { ...(ofStudent && { student: ofStudent }), ...(ofTeacher && { teacher: ofTeacher }) },
    teacherCache: cachePlan(prepared),
    ranks,
  };
}

function cachePlan({ cache, options, schedule }: Preparation): CachePlan | undefined {
  if (!cache) return undefined;
  const { folder, identity, asks, isCovered, bytesPerToken, storedBytes, freeBytes } = cache;
  const tokens = (schedule.steps * options.batch * options.sequence) / Math.max(1, options.epochs ?? 1);
  return {
    ...{ folder, dtype: identity.dtype, isCovered, bytesPerToken, storedBytes, freeBytes },
    filledOn: asks ? undefined : identity.kernels,
    mostBytes: Math.ceil(tokens * bytesPerToken),
  };
}

/** A message without what it says to do. */
const withoutAdvice = (message: string): string => message.slice(0, message.lastIndexOf('; '));
