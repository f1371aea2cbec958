import { InputError } from '../base/errors.js';
import { type DocumentSource, openDocuments, type Place } from '../data/documents.js';
import { type Bos, beginningOf, type EncodingOptions } from '../data/encoding.js';
import { type Packing, packingOf } from '../data/packing.js';
import { sharedTokenizer } from '../data/tokenizer/shared.js';
import { firstDifference, type Tokenizer } from '../data/tokenizer.js';
import type { TrainingPart } from '../data/trainingDocuments.js';
import type { DeviceHosts } from '../devices/host.js';
import { checkBest } from '../formats/best.js';
import type { ModelForm } from '../formats/modelFolder.js';
import type { Artifact } from '../formats/parameters.js';
import type { RunFile } from '../formats/runFile.js';
import { freshRunFolder, runPaths } from '../formats/runFolder.js';
import { type FloatDtype, isFloat } from '../formats/tensors/floats.js';
import { adapterConfig, type LoraOptions, loraShapes, parameterCount } from '../model/lora.js';
import { blankModelFiles, checkSequence, checkTokenizer } from '../model/modelFiles.js';
import type { StudentOptions } from '../model/programs.js';
import { type ModelFiles, weightShapes } from '../model/weights.js';
import { withDefaults } from '../options/table.js';
import { TRAIN_OPTIONS, type TrainOptions } from '../options/train.js';
import type { DownloadRecord, ProgressRecord } from '../records.js';
import type { ScheduleOptions } from '../training/schedule.js';
import { ALONE, type Place as RankPlace } from '../world/world.js';
import { adapterBefore, adapterOptions, withAdapter } from './adapterOptions.js';
import { stepsOfEpochs } from './countEpoch.js';
import { type EvaluationPlans, planEvaluations } from './evaluationPlans.js';
import { locateModels, type Models, openModel } from './locateModels.js';
import { locateText, type TextPaths, textOptions } from './locateText.js';
import { chooseWay, type Plans, type Way } from './memory.js';
import { checkEnded, checkLength, findOrigin, type Origin } from './origin.js';
import { encoderOf, prepareText, type TextPreparation } from './prepareText.js';
import type { Given, RunRequest } from './resolveOptions.js';
import { type FoundCache, findCache, textKey } from './teacherCache.js';
import { trainingPart } from './trainingPart.js';

/** Everything a run needs to know before anything is allocated or written. */
export interface Preparation {
  /** As the run records them: what it chose by itself is filled in, and how it was started is left out. */
  readonly options: TrainOptions;
  /** As they were given, with defaults and what the adapter to start from says of itself. */
  readonly asked: TrainOptions;
  readonly out: string;
  readonly models: Models;
  readonly text: TextPaths;
  /** What of it is trained on. */
  readonly part: TrainingPart;
  readonly encoding: EncodingOptions;
  /** What a resume holds the chat template to. */
  readonly chatTemplate: string | undefined;
  /** The checkpoint that the run goes on from, of a fork that of another run. */
  readonly resume: Origin | undefined;
  readonly student: StudentOptions;
  readonly artifact: Artifact;
  readonly teacher: ModelFiles | undefined;
  /** What evaluations ask beside the loss. */
  readonly evaluation: EvaluationPlans;
  /** Where the teacher's hidden states are kept. */
  readonly cache: FoundCache | undefined;
  readonly schedule: ScheduleOptions;
  readonly microBatch: number;
  readonly parameters: number;
  readonly plans: Plans;
  /** Among those who share its batches. */
  readonly place: RankPlace;
}

/** Evaluations run beside the training and keep their own activations: small ones. */
const EVALUATION_TOKENS = 512;

/**
 * Checks models, tokenizers, adapter and memory against each other and the device. Writes nothing.
 * @param emit is told of downloads and counting
 * @param place among the ranks that share its batches
 * @param signal ends downloads: the promise rejects
 */
export async function prepare(
  request: RunRequest,
  devices: DeviceHosts,
  emit: (record: DownloadRecord | ProgressRecord) => void,
  place: RankPlace = ALONE,
  signal?: AbortSignal,
): Promise<Preparation> {
  const { options: asked, given, before } = request;
  const out = asked.out ?? freshRunFolder();
  emit({ type: 'progress', doing: 'reading models' });
  const resume = await findOrigin(asked, out, before);
  const models = await locateModels(asked, before, emit, resume !== undefined, signal);
  const student =
    asked.fromConfig === undefined
      ? openModel('student', models.student, models, asked)
      : blankModelFiles(asked.fromConfig);
  const teacher =
    models.teacher === undefined ? undefined : openModel('teacher', models.teacher, models, asked);
  if (asked.keepBest !== undefined && !asked.resume) checkBest(runPaths(out).best);
  emit({ type: 'progress', doing: 'finding text' });
  const text = await locateText(asked, before, emit, signal);
  const tokenizer = await sharedTokenizer(student.folder);
  const adapter = adapterBefore(asked, resume) ?? models.init;
  const lora = asked.trainable === 'lora' ? adapterOptions(request, adapter, student.config) : undefined;
  const options = lora && adapter !== undefined ? withAdapter(asked, lora) : asked;
  const read = await openTexts(options, { text, tokenizer, folder: student.folder, before, resume });
  await checkModels(options, tokenizer, student, teacher);
  const evaluation = await planEvaluations(options, { student, tokenizer, ...read }, emit);
  const cache =
    teacher && (await cacheOf(options, { text, encoding: read.encoding, tokenizer, teacher, devices }));
  const { caches } = evaluation;
  const studentWith = (way: Way) => studentOptions(options, { student, teacher, lora, devices, caches }, way);
  emit({ type: 'progress', doing: 'planning' });
  const { way, plans } = chooseWay(options, devices, {
    ...{ studentWith, teacher: cache?.isCovered ? undefined : teacher, ranks: place.size },
  });
  const part = await trainingPart(options, read.documents, emit);
  const setting = { ...read, ...part, tokenizer };
  const counts = options.steps === undefined && options.epochs !== undefined && options.examples !== 0;
  const steps = counts ? await stepsOfEpochs(options, setting, emit) : options.steps;
  const schedule = scheduleOf({ ...options, steps });
  if (resume) checkSteps(given, resume, schedule, { out, before });
  return {
    options: recorded(
      { ...options, steps, out, teacherCacheDtype: dtypeToRecord(asked, cache) },
      way,
      read.packing,
    ),
    asked: options,
    out,
    models,
    text,
    part,
    encoding: read.encoding,
    chatTemplate: read.chatTemplate,
    resume,
    student: studentWith(way),
    teacher,
    evaluation,
    cache,
    schedule,
    artifact: lora
      ? { kind: 'adapter', config: adapterConfig(lora, models.baseModel) }
      : { kind: 'model', configFile: student.configFile, form: modelForm(options, student) },
    microBatch: way.rows,
    parameters: parameterCount(lora ? loraShapes(student.config, lora) : weightShapes(student.config)),
    plans,
    place,
  };
}

/** Options as a run records them: what it chose by itself is filled in, and how it was started is left out. */
const recorded = (options: TrainOptions, { rows, recompute }: Way, packing: Packing): TrainOptions => ({
  ...options,
  microBatch: rows,
  packing,
  recompute: recompute ? 'on' : 'off',
  resume: false,
  config: undefined,
});

/** All text of --data, and that of --eval-data. */
interface OpenTexts {
  readonly documents: DocumentSource;
  readonly evaluation: DocumentSource | undefined;
}

interface TextSetting {
  readonly text: TextPaths;
  readonly tokenizer: Tokenizer;
  /** Of the student. */
  readonly folder: string;
  readonly before: RunFile | undefined;
  readonly resume: Preparation['resume'];
}

/** Opens the texts of the run, which is their check: the actors open them again to read. */
async function openTexts(
  options: TrainOptions,
  { text, tokenizer, folder, before, resume }: TextSetting,
): Promise<TextPreparation & { readonly packing: Packing } & OpenTexts> {
  const from = resume?.state.cursor.place;
  const bos = bosOf(options, tokenizer);
  const encoder = encoderOf({ ...options, bos }, { tokenizer, folder, name: options.student ?? folder });
  const open = (paths: readonly string[], from?: Place) =>
    openDocuments({ ...textOptions(options, paths, text.idsTokenizer), from, encoder });
  const documents = await open(text.data, from);
  const evaluation = text.evalData && (await open(text.evalData));
  const texts = [{ documents, from }, ...(evaluation ? [{ documents: evaluation }] : [])];
  const prepared = await prepareText(options, { folder, bos }, before, texts);
  return { ...prepared, documents, evaluation, packing: await packingFor(options, documents) };
}

/** With a cache, documents are cut alike in every epoch: at multiples of N from their own start. */
async function packingFor(
  { packing, teacherCache }: TrainOptions,
  documents: DocumentSource,
): Promise<Packing> {
  if (teacherCache === undefined) return packing ?? (await packingOf(documents));
  if (packing !== 'stream') return 'best-fit';
  throw new InputError(
    '--packing: expected best-fit with --teacher-cache, found stream, which cuts documents wherever a row ends and ' +
      'elsewhere in the next epoch; leave one out',
  );
}

interface CacheSetting {
  readonly text: TextPaths;
  readonly encoding: EncodingOptions;
  readonly tokenizer: Tokenizer;
  readonly teacher: ModelFiles;
  readonly devices: DeviceHosts;
}

/** A run that goes on records what it began with: the checkpoint before it says no more, and may stay the last one. */
const dtypeToRecord = (
  { teacherCacheDtype, resume }: TrainOptions,
  cache: FoundCache | undefined,
): TrainOptions['teacherCacheDtype'] => (resume ? teacherCacheDtype : cache?.identity.dtype);

/** A run that goes on without having had a cache is exact: so is one that it gets. */
async function cacheOf(
  options: TrainOptions,
  { text, encoding, tokenizer, teacher, devices }: CacheSetting,
): Promise<FoundCache | undefined> {
  const { teacherCache: folder, teacherCacheDtype, resume, sequence } = options;
  if (folder === undefined) return undefined;
  const evalFraction = options.evalData === undefined ? options.evalFraction : 0;
  return findCache(folder, {
    ...{ teacher, tokenizer, sequence, kernels: devices.teacher.info.kernels },
    dtype: teacherCacheDtype ?? (resume ? 'f32' : undefined),
    text: await textKey(text.data, { ...options, idsTokenizer: text.idsTokenizer, evalFraction }, encoding),
  });
}

/** A run begun before there was a choice goes on with BOS where the tokenizer has one, see `resolveOptions`. */
function bosOf({ bos, resume }: TrainOptions, tokenizer: Tokenizer): Bos {
  if (resume && bos === 'always' && tokenizer.bosId === undefined) return 'never';
  beginningOf(tokenizer, bos);
  return bos;
}

interface ModelSetting {
  readonly student: ModelFiles;
  readonly teacher: ModelFiles | undefined;
  readonly lora: LoraOptions | undefined;
  readonly devices: DeviceHosts;
  readonly caches: StudentOptions['caches'];
}

/** What the student's module is built from when batches run that way. */
function studentOptions(
  options: TrainOptions,
  { student, teacher, lora, devices, caches }: ModelSetting,
  { rows, recompute }: Way,
): StudentOptions {
  const { sequence, temperature, divergence, beta, beta1, beta2, epsilon, weightDecay } = options;
  return {
    student,
    teacher,
    lora,
    objective: { alpha: teacher ? options.alpha : 0, temperature, divergence, beta },
    optimizer: { beta1, beta2, eps: epsilon, weightDecay },
    recompute,
    lossScaling: devices.student.info.lossScaling,
    microBatches: options.batch / rows,
    train: { rows, sequence },
    caches,
    evaluate: { rows: Math.max(1, Math.min(rows, Math.floor(EVALUATION_TOKENS / sequence))), sequence },
  };
}

/** A resumed run keeps the rates of the steps it has done; a fork's schedule is its own, and goes on. */
function checkSteps(
  given: Given,
  { state, forked }: Origin,
  schedule: ScheduleOptions,
  { out, before }: { readonly out: string; readonly before: RunFile | undefined },
): void {
  const flag = ['steps', 'tokens', 'epochs'].find((name) => given[name] !== undefined);
  const label = flag ? `--${flag}` : `${out}/run.json`;
  if (!forked) {
    checkEnded(out, state, schedule, label);
    checkLength(schedule, state.steps ?? storedLength(before) ?? schedule.steps, state.step, label);
  } else if (schedule.steps <= state.step) {
    throw new InputError(
      `--fork: expected more than the ${state.step} steps that are done, found ${schedule.steps}; raise --steps`,
    );
  }
}

const DEFAULT_STEPS = 1000;

/** Steps that a run which version 0.1.0 began was to have. */
const storedLength = (before: RunFile | undefined): number | undefined =>
  before && scheduleOf(withDefaults(TRAIN_OPTIONS, before.options)).steps;

function scheduleOf(options: TrainOptions): ScheduleOptions {
  const { lr, warmup, schedule, decay, tokens, batch, sequence, examples } = options;
  const length = tokens === undefined ? DEFAULT_STEPS : Math.ceil(tokens / (batch * sequence));
  return { lr, warmup, schedule, decay, steps: examples === 0 ? 0 : (options.steps ?? length) };
}

const FILE_DTYPES = { f32: 'F32', f16: 'F16', bf16: 'BF16' } as const;

/** Weights are saved as `--save-dtype` says, otherwise as they were found, and in f32 where there were none. */
function modelForm({ saveDtype, fromConfig }: TrainOptions, { config, tensors }: ModelFiles): ModelForm {
  const own = [...weightShapes(config).keys()].flatMap((name): [string, FloatDtype][] => {
    const dtype = tensors.get(name)?.dtype;
    return dtype && isFloat(dtype) ? [[name, dtype]] : [];
  });
  const told = saveDtype ?? (fromConfig === undefined ? undefined : 'f32');
  return { dtype: told && FILE_DTYPES[told], dtypes: new Map(own), tiedEmbeddings: config.tiedEmbeddings };
}

async function checkModels(
  options: TrainOptions,
  tokenizer: Tokenizer,
  student: ModelFiles,
  teacher?: ModelFiles,
): Promise<void> {
  for (const files of teacher ? [student, teacher] : [student]) {
    checkSequence(files, options.sequence);
    checkTokenizer(files, tokenizer);
  }
  if (!teacher) return;
  const difference = firstDifference(tokenizer, await sharedTokenizer(teacher.folder));
  if (difference !== undefined) {
    throw new InputError(
      `--teacher: expected the tokenizer of ${options.student ?? student.folder}, found another in ${options.teacher}: ${difference}`,
    );
  }
}
