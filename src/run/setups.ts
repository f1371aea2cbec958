import { availableParallelism } from 'node:os';
import type { MessagePort } from 'node:worker_threads';
import type { EvaluatorSetup } from '../actors/evaluator.js';
import type { LoaderSetup } from '../actors/loader.js';
import type { StudentSetup } from '../actors/student.js';
import type { TeacherSetup } from '../actors/teacher.js';
import type { SessionHandle } from '../devices/device.js';
import type { DeviceHost } from '../devices/host.js';
import { sent } from '../evaluation/tasks/sentPlan.js';
import { runPaths } from '../formats/runFolder.js';
import { runOf } from '../model/gradientTree.js';
import type { ModelFiles } from '../model/weights.js';
import { evaluates, hasHeldOutText } from '../prepare/evaluates.js';
import { textOptions } from '../prepare/locateText.js';
import type { Preparation } from '../prepare/prepare.js';
import { localShare } from '../world/localShare.js';

/** What the actors of a run start with. */

/** Micro-batches each consumer asks for ahead, and the bytes they may take. */
const MAX_CREDITS = 2;
const QUEUE_BYTES = 256 * 2 ** 20;

/** @param keepsRows whether other runs on the same text follow in the same thread */
export function loaderSetup(
  { options, models, text, part, encoding, microBatch, resume, student, place }: Preparation,
  { port, progress, keepsRows }: { port: MessagePort; progress: MessagePort; keepsRows: boolean },
): LoaderSetup {
  const { sequence, batch, shuffleRows, packing, longDocuments, seed } = options;
  return {
    tokenizer: models.student,
    text: textOptions(options, text.data, text.idsTokenizer),
    ...part,
    encoding,
    ...{ sequence, batch, microBatch, shuffleRows, packing, longDocuments, seed },
    ...{ port, keepsRows, progress },
    own: runOf(place.rank, place.size, student.microBatches),
    step: resume?.state.step ?? 0,
    repeat: true,
    ...(resume && { cursor: resume.state.cursor }),
  };
}

export const teacherSetup = (
  { cache, microBatch, options }: Preparation,
  teacher: ModelFiles,
  device: DeviceHost,
  ports: { readonly source: MessagePort; readonly port: MessagePort; readonly progress: MessagePort },
): TeacherSetup => ({
  files: teacher,
  shape: { rows: microBatch, sequence: options.sequence },
  device: device.connect(),
  ...(cache && { cache: { ...cache, onUnwritable: 'go on' } }),
  ...ports,
});

export interface StudentPorts {
  readonly source: MessagePort;
  /** Where snapshots go. */
  readonly evaluator: MessagePort;
  readonly progress: MessagePort;
  readonly ranks: MessagePort | undefined;
}

export function studentSetup(
  { options, models, out, student, artifact, schedule, resume, microBatch, place }: Preparation,
  device: DeviceHost,
  { evaluator, ...ports }: StudentPorts,
): StudentSetup {
  const tokens = microBatch * options.sequence;
  const batchBytes = tokens * 4 * (4 + (student.teacher?.config.hiddenSize ?? 0));
  return {
    student,
    schedule,
    place: { rank: place.rank, size: place.size },
    ...ports,
    clip: options.clip,
    seed: options.seed,
    loraPlus: options.loraPlus,
    artifact,
    checkpoints: runPaths(out).checkpoints,
    best: runPaths(out).best,
    keep: options.keep,
    device: device.connect(),
    threads: localShare(place, options.threads).threads ?? availableParallelism(),
    credits: Math.max(1, Math.min(MAX_CREDITS, Math.floor(QUEUE_BYTES / batchBytes))),
    ...(evaluates(options) ? { evaluator } : {}),
    ...(resume ? { resume: resume.path } : models.init === undefined ? {} : { init: models.init }),
  };
}

/** @param session of the student */
export function evaluatorSetup(
  { options, models, text, part, encoding, student, evaluation, place }: Preparation,
  device: DeviceHost,
  ports: {
    readonly session: SessionHandle;
    readonly port: MessagePort;
    readonly ranks: MessagePort | undefined;
  },
): EvaluatorSetup {
  const heldOut = {
    tokenizer: models.student,
    text: textOptions(options, text.evalData ?? text.data, text.idsTokenizer),
    evalFraction: part.evalFraction,
    encoding,
    sequence: options.sequence,
    tokens: options.evalTokens,
  };
  return {
    text: hasHeldOutText(options) ? heldOut : undefined,
    plans: evaluation.plans.map(sent),
    tokenizer: models.student,
    student,
    device: device.connect(),
    ...ports,
    place: { rank: place.rank, size: place.size },
  };
}
