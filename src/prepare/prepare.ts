import { InputError } from '../base/errors.js';
import { cursorSchema } from '../data/cursor.js';
import { openDocuments, type Place } from '../data/documents.js';
import { type Bos, beginningOf, type EncodingOptions } from '../data/encoding.js';
import { type Cursor, type Packing, packingOf } from '../data/packing.js';
import { firstDifference, loadTokenizer, type Tokenizer } from '../data/tokenizer.js';
import type { DeviceHosts } from '../devices/host.js';
import { readAdapter } from '../formats/adapter.js';
import type { Artifact } from '../formats/parameters.js';
import { checkRunFolder, freshRunFolder, holdsRun, lastCheckpoint } from '../formats/runFolder.js';
import type { ModelConfig } from '../model/config.js';
import {
  adapterConfig,
  checkPatterns,
  type LoraOptions,
  loraOptions,
  loraShapes,
  parameterCount,
  targetModules,
} from '../model/lora.js';
import { blankModelFiles, checkSequence, openModelFiles } from '../model/modelFiles.js';
import type { StudentOptions } from '../model/programs.js';
import { type ModelFiles, weightShapes } from '../model/weights.js';
import type { TrainOptions } from '../options/train.js';
import type { DownloadRecord, ProgressRecord } from '../records.js';
import type { ScheduleOptions } from '../training/schedule.js';
import { locateModels, type Models } from './locateModels.js';
import { locateText, type TextPaths, textOptions } from './locateText.js';
import { chooseWay, type Plans, type Way } from './memory.js';
import { prepareText, type TextPreparation } from './prepareText.js';
import { type Given, resolveOptions } from './resolveOptions.js';

/** Everything a run needs to know before anything is allocated or written. */
export interface Preparation {
  /** As the run records them: what it chose by itself is filled in, and how it was started is left out. */
  readonly options: TrainOptions;
  readonly out: string;
  readonly models: Models;
  readonly text: TextPaths;
  readonly encoding: EncodingOptions;
  /** What a resume holds the chat template to. */
  readonly chatTemplate: string | undefined;
  readonly resume: ReturnType<typeof lastCheckpoint<Cursor>>;
  readonly student: StudentOptions;
  readonly artifact: Artifact;
  readonly teacher: ModelFiles | undefined;
  readonly schedule: ScheduleOptions;
  readonly microBatch: number;
  readonly parameters: number;
  readonly plans: Plans;
}

/** Evaluations run beside the training and keep their own activations: small ones. */
const EVALUATION_TOKENS = 512;

/** Checks models, tokenizers, adapter and memory against each other and the device. Writes nothing. */
export async function prepare(
  given: Given,
  devices: DeviceHosts,
  emit: (record: DownloadRecord | ProgressRecord) => void,
): Promise<Preparation> {
  const options = resolveOptions(given);
  const out = await checkOut(options);
  const models = await locateModels(options, out, emit);
  const student =
    options.fromConfig === undefined ? openModelFiles(models.student) : blankModelFiles(options.fromConfig);
  const teacher = models.teacher === undefined ? undefined : openModelFiles(models.teacher);
  const resume = options.resume ? lastCheckpoint(out, cursorSchema) : undefined;
  emit({ type: 'progress', doing: 'finding text' });
  const text = await locateText(options, out);
  const tokenizer = await loadTokenizer(student.folder);
  const read = await openTexts(options, { text, tokenizer, folder: student.folder, out, resume });
  await checkModels(options, tokenizer, student, teacher);
  const lora =
    options.trainable === 'lora' ? adapterOptions(options, models.init, student.config) : undefined;
  const studentWith = (way: Way) => studentOptions(options, { student, teacher, lora, devices }, way);
  emit({ type: 'progress', doing: 'planning' });
  const { way, plans } = chooseWay(options, devices, studentWith, teacher);
  return {
    options: {
      ...options,
      out,
      microBatch: way.rows,
      packing: read.packing,
      recompute: way.recompute ? 'on' : 'off',
      resume: false,
      config: undefined,
    },
    out,
    models,
    text,
    encoding: read.encoding,
    chatTemplate: read.chatTemplate,
    resume,
    student: studentWith(way),
    teacher,
    schedule: scheduleOf(options),
    artifact: lora
      ? { kind: 'adapter', config: adapterConfig(lora, models.baseModel) }
      : { kind: 'model', configFile: student.configFile },
    microBatch: way.rows,
    parameters: parameterCount(lora ? loraShapes(student.config, lora) : weightShapes(student.config)),
    plans,
  };
}

/** The folder of the run. @throws InputError when it holds another one, or can't be used */
async function checkOut(options: TrainOptions): Promise<string> {
  const out = options.out ?? freshRunFolder();
  if (!options.resume && holdsRun(out)) {
    throw new InputError(
      `--out: expected a folder without a run, found one in ${out}; add --resume to continue it`,
    );
  }
  await checkRunFolder(out);
  return out;
}

interface TextSetting {
  readonly text: TextPaths;
  readonly tokenizer: Tokenizer;
  /** Of the student. */
  readonly folder: string;
  readonly out: string;
  readonly resume: Preparation['resume'];
}

/** Opens the texts of the run, which is their check: the actors open them again to read. */
async function openTexts(
  options: TrainOptions,
  { text, tokenizer, folder, out, resume }: TextSetting,
): Promise<TextPreparation & { readonly packing: Packing }> {
  const from = resume?.state.cursor.place;
  const bos = bosOf(options, tokenizer);
  const encoder = { tokenizer, name: options.student ?? folder, bos, eos: options.eos };
  const open = (paths: readonly string[], from?: Place) =>
    openDocuments({ ...textOptions(options, paths), from, encoder });
  const documents = await open(text.data, from);
  const evaluation = text.evalData && (await open(text.evalData));
  const texts = [{ documents, from }, ...(evaluation ? [{ documents: evaluation }] : [])];
  const prepared = await prepareText(options, { folder, bos }, out, texts);
  return { ...prepared, packing: options.packing ?? (await packingOf(documents)) };
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
}

/** What the student's module is built from when batches run that way. */
function studentOptions(
  options: TrainOptions,
  { student, teacher, lora, devices }: ModelSetting,
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
    train: { rows, sequence },
    evaluate: { rows: Math.max(1, Math.min(rows, Math.floor(EVALUATION_TOKENS / sequence))), sequence },
  };
}

const DEFAULT_STEPS = 1000;

function scheduleOf(options: TrainOptions): ScheduleOptions {
  const { lr, warmup, schedule, decay, tokens, batch, sequence } = options;
  const length = tokens === undefined ? DEFAULT_STEPS : Math.ceil(tokens / (batch * sequence));
  return { lr, warmup, schedule, decay, steps: options.steps ?? length };
}

function adapterOptions(options: TrainOptions, init: string | undefined, config: ModelConfig): LoraOptions {
  if (init !== undefined) {
    const adapter = loraOptions(readAdapter(init).config);
    return { ...adapter, dropout: options.loraDropout };
  }
  const lora = {
    rank: options.rank,
    alpha: options.loraAlpha ?? 2 * options.rank,
    rsLora: options.rslora,
    dropout: options.loraDropout,
    targetModules: targetModules(options.targetModules.split(',')),
    rankPattern: options.rankPattern ?? {},
    alphaPattern: options.alphaPattern ?? {},
  };
  checkPatterns(config, lora);
  return lora;
}

async function checkModels(
  options: TrainOptions,
  tokenizer: Tokenizer,
  student: ModelFiles,
  teacher?: ModelFiles,
): Promise<void> {
  for (const checkpoint of teacher ? [student, teacher] : [student])
    checkSequence(checkpoint, options.sequence);
  for (const { folder, config } of teacher ? [student, teacher] : [student]) {
    if (tokenizer.vocabularySize > config.vocabularySize) {
      throw new InputError(
        `${folder}: expected an embedding for each of the tokenizer's ${tokenizer.vocabularySize} tokens, ` +
          `found ${config.vocabularySize}; use the tokenizer that belongs to the model`,
      );
    }
  }
  if (!teacher) return;
  const difference = firstDifference(tokenizer, await loadTokenizer(teacher.folder));
  if (difference !== undefined) {
    throw new InputError(
      `--teacher: expected the tokenizer of ${options.student ?? student.folder}, found another in ${options.teacher}: ${difference}`,
    );
  }
}
