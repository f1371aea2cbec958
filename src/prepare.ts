import { isDeepStrictEqual } from 'node:util';
import { cursorSchema } from './data/cursor.js';
import { openDocuments, type Place } from './data/documents.js';
import type { EncodingOptions } from './data/encoding.js';
import { type Cursor, packingOf } from './data/packing.js';
import { firstDifference, loadTokenizer, type Tokenizer } from './data/tokenizer.js';
import type { DeviceHosts } from './devices/host.js';
import { InputError } from './errors.js';
import { readAdapter } from './formats/adapter.js';
import { readConfigFile } from './formats/configFile.js';
import type { Product } from './formats/parameters.js';
import {
  checkRunFolder,
  freshRunFolder,
  holdsRun,
  lastCheckpoint,
  readRunFile,
} from './formats/runFolder.js';
import { locateModels, type Models } from './locateModels.js';
import { locateText, type TextPaths, textOptions } from './locateText.js';
import type { DownloadRecord } from './messages.js';
import { hasMiniature, miniaturePaths, QUICKSTART } from './miniature/index.js';
import { blankCheckpoint, checkSequence, openCheckpoint } from './model/checkpoint.js';
import type { ModelConfig } from './model/config.js';
import {
  adapterConfig,
  checkPatterns,
  type LoraOptions,
  loraOptions,
  loraShapes,
  parameterCount,
  targetModules,
} from './model/lora.js';
import { type StudentOptions, studentModule, teacherModule } from './model/programs.js';
import type { ScheduleOptions } from './model/schedule.js';
import { type Checkpoint, weightShapes } from './model/weights.js';
import {
  flagOf,
  isOperational,
  missingOption,
  problemsOf,
  TRAIN_OPTIONS,
  type TrainOptions,
  withDefaults,
} from './options.js';
import { prepareText } from './prepareText.js';
import type { MemoryPlan } from './program/plan.js';

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
  readonly product: Product;
  readonly teacher: Checkpoint | undefined;
  readonly schedule: ScheduleOptions;
  readonly microBatch: number;
  readonly parameters: number;
  readonly plans: { readonly student: MemoryPlan; readonly teacher: MemoryPlan | undefined };
}

/** Where memory is short, micro-batches shrink to this before blocks are recomputed (docs/log.md, Recompute). */
const RECOMPUTE_BELOW_TOKENS = 512;
/** Evaluations run beside the training and keep their own activations: small ones. */
const EVALUATION_TOKENS = 512;

type Given = Readonly<Record<string, unknown>>;

/** Options as a run starts with them: the config file, the run it resumes and the defaults fill the gaps, in that order. */
export function resolveOptions(input: Given): TrainOptions {
  const given = withMiniature(withConfigFile(defined(input)));
  if (given.resume && given.out === undefined) {
    throw new InputError('--resume: expected --out with the folder of the run, found none');
  }
  const stored = given.resume ? readRunFile(String(given.out)) : undefined;
  const problems = stored ? [] : studentProblems(given);
  problems.push(...problemsOf(TRAIN_OPTIONS, { ...stored?.options, ...given }));
  if (given.steps !== undefined && given.tokens !== undefined) {
    problems.push('--tokens: expected it without --steps, found both; leave one out');
  }
  if (problems.length > 0 && given.resume && !stored) {
    problems.unshift(`--resume: expected a run in ${given.out}, found none; check --out`);
  }
  if (problems.length > 0) throw new InputError(problems.join('; '));
  if (stored) refuseChanges(given, withDefaults(TRAIN_OPTIONS, stored.options));
  return withDefaults(TRAIN_OPTIONS, { ...stored?.options, ...given });
}

/** With no model and no text named, the run is the quickstart on the bundled miniature; what is given wins. */
function withMiniature(given: Given): Given {
  const named = ['student', 'teacher', 'fromConfig', 'data', 'resume'].some(
    (name) => given[name] !== undefined,
  );
  if (named || !hasMiniature()) return given;
  const { student, teacher, corpus, heldOut } = miniaturePaths();
  return { ...QUICKSTART, student, teacher, data: [corpus], evalData: heldOut, ...given };
}

/** A student is given, or made from a config, which is only possible when all of it is trained. */
function studentProblems({ student, fromConfig, trainable, init }: Given): string[] {
  const problems: string[] = [];
  if (student === undefined && fromConfig === undefined) {
    problems.push(missingOption('student', TRAIN_OPTIONS.student));
  }
  if (student !== undefined && fromConfig !== undefined) {
    problems.push('--from-config: expected it without --student, found both; leave one out');
  }
  if (fromConfig !== undefined && trainable !== 'all') {
    problems.push('--from-config: expected --trainable all with it, found none');
  }
  if (init !== undefined && trainable === 'all') {
    problems.push('--init: expected --trainable lora, found all; leave one out');
  }
  return problems;
}

/** What is given beside a config file wins. */
function withConfigFile(given: Given): Given {
  if (typeof given.config !== 'string') return given;
  const inFile = readConfigFile(given.config, TRAIN_OPTIONS);
  // Either says how long the run is: one that is given replaces the other one, too.
  if (given.steps !== undefined) delete inFile.tokens;
  if (given.tokens !== undefined) delete inFile.steps;
  return { ...inFile, ...given };
}

const defined = (values: Given): Given =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));

function refuseChanges(given: Given, stored: TrainOptions): void {
  const before = stored as Readonly<Record<string, unknown>>;
  const changed = Object.keys(given).filter((name) => {
    if (isOperational(name) || name === 'out') return false;
    const option = TRAIN_OPTIONS[name as keyof typeof TRAIN_OPTIONS];
    return !isDeepStrictEqual(option.schema.parse(given[name]), before[name]);
  });
  if (changed.length === 0) return;
  const list = changed
    .map((name) => `${flagOf(name)} ${before[name] ?? 'left out'} (found ${given[name]})`)
    .join(', ');
  throw new InputError(
    `--resume: expected the options of the run: ${list}; leave them out, or start a new run`,
  );
}

/** Checks models, tokenizers, adapter and memory against each other and the device. Writes nothing. */
export async function prepare(
  given: Given,
  devices: DeviceHosts,
  onDownload: (record: DownloadRecord) => void,
): Promise<Preparation> {
  const options = resolveOptions(given);
  const out = options.out ?? freshRunFolder();
  if (!options.resume && holdsRun(out)) {
    throw new InputError(
      `--out: expected a folder without a run, found one in ${out}; add --resume to continue it`,
    );
  }
  await checkRunFolder(out);
  const models = await locateModels(options, out, onDownload);
  const student =
    options.fromConfig === undefined ? openCheckpoint(models.student) : blankCheckpoint(options.fromConfig);
  const teacher = models.teacher === undefined ? undefined : openCheckpoint(models.teacher);
  const resume = options.resume ? lastCheckpoint(out, cursorSchema) : undefined;
  const text = await locateText(options, out);
  // Opening is the check; the actors read.
  const from = resume?.state.cursor.place;
  const tokenizer = await loadTokenizer(student.folder);
  const encoder = { tokenizer, name: options.student ?? student.folder, eos: options.eos };
  const open = (paths: readonly string[], from?: Place) =>
    openDocuments({ ...textOptions(options, paths), from, encoder });
  const documents = await open(text.data, from);
  const evaluation = text.evalData && (await open(text.evalData));
  const { encoding, chatTemplate } = await prepareText(options, student.folder, out, [
    { documents, from },
    ...(evaluation ? [{ documents: evaluation }] : []),
  ]);
  await checkModels(options, tokenizer, student, teacher);
  const lora =
    options.trainable === 'lora' ? adapterOptions(options, models.init, student.config) : undefined;
  const { temperature, divergence, beta } = options;
  const objective = { alpha: teacher ? options.alpha : 0, temperature, divergence, beta };
  const { beta1, beta2, epsilon: eps, weightDecay } = options;
  const studentWith = ({ rows, recompute }: Way): StudentOptions => {
    const { sequence } = options;
    const optimizer = { beta1, beta2, eps, weightDecay };
    const evaluate = {
      rows: Math.max(1, Math.min(rows, Math.floor(EVALUATION_TOKENS / sequence))),
      sequence,
    };
    const train = { rows, sequence };
    const { lossScaling } = devices.student.info;
    return { student, teacher, lora, objective, optimizer, recompute, lossScaling, train, evaluate };
  };
  const { way, plans } = chooseWay(options, devices, studentWith, teacher);
  const { rows: microBatch } = way;
  const steps = options.steps ?? stepsFor(options);
  const { lr, warmup, schedule, decay } = options;
  return {
    options: {
      ...options,
      out,
      microBatch,
      packing: options.packing ?? (await packingOf(documents)),
      recompute: way.recompute ? 'on' : 'off',
      resume: false,
      config: undefined,
    },
    out,
    models,
    text,
    encoding,
    chatTemplate,
    resume,
    student: studentWith(way),
    teacher,
    schedule: { lr, warmup, schedule, decay, steps },
    product: lora
      ? { kind: 'adapter', config: adapterConfig(lora, models.baseModel) }
      : { kind: 'model', configFile: student.configFile },
    microBatch,
    parameters: parameterCount(lora ? loraShapes(student.config, lora) : weightShapes(student.config)),
    plans,
  };
}

const DEFAULT_STEPS = 1000;

const stepsFor = ({ tokens, batch, sequence }: TrainOptions): number =>
  tokens === undefined ? DEFAULT_STEPS : Math.ceil(tokens / (batch * sequence));

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
  student: Checkpoint,
  teacher?: Checkpoint,
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

/** How a batch is run: rows at once, and whether the backward pass recomputes what is inside the blocks. */
interface Way {
  readonly rows: number;
  readonly recompute: boolean;
}

/** From the fastest on: divisors of the batch up to `most` tokens; `--micro-batch` and `--recompute` override. */
function waysToRun({ batch, sequence, microBatch, recompute }: TrainOptions, most: number): Way[] {
  const divisors = Array.from({ length: batch }, (_, i) => batch - i).filter((rows) => batch % rows === 0);
  const sizes =
    microBatch === undefined
      ? divisors.filter((rows) => rows === 1 || rows * sequence <= most)
      : [microBatch];
  const large = sizes.filter((rows, i) => i === 0 || rows * sequence >= RECOMPUTE_BELOW_TOKENS);
  const kept = { auto: large, on: [], off: sizes }[recompute];
  const recomputed = recompute === 'off' ? [] : sizes;
  return [
    ...kept.map((rows) => ({ rows, recompute: false })),
    ...recomputed.map((rows) => ({ rows, recompute: true })),
  ];
}

/** The first way whose plans fit. */
function chooseWay(
  options: TrainOptions,
  devices: DeviceHosts,
  studentWith: (way: Way) => StudentOptions,
  teacher: Checkpoint | undefined,
): Pick<Preparation, 'plans'> & { readonly way: Way } {
  const { batch, sequence, microBatch } = options;
  if (microBatch !== undefined && batch % microBatch !== 0) {
    throw new InputError(`--micro-batch: expected a divisor of --batch ${batch}, found ${microBatch}`);
  }
  let sizes: number[] = [];
  for (const way of waysToRun(options, devices.student.info.microBatchTokens)) {
    const plans = {
      student: devices.student.plan(studentModule(studentWith(way)).module),
      teacher: teacher && devices.teacher.plan(teacherModule(teacher, { rows: way.rows, sequence }).module),
    };
    sizes = [plans.student, plans.teacher].map((plan) => (plan ? totalBytes(plan) : 0));
    if (fits(sizes, devices)) return { way, plans };
  }
  return refuseSize(sizes, devices, options.recompute === 'off');
}

export const totalBytes = ({ bytes }: MemoryPlan): number => bytes.persistent + bytes.activations;

/** Each model into what a model may take, and those on one device into all of it. */
function fits([student, teacher]: readonly number[], devices: DeviceHosts): boolean {
  const together = devices.student === devices.teacher ? student! + teacher! : Math.max(student!, teacher!);
  return (
    student! <= devices.student.info.maxSessionBytes &&
    teacher! <= devices.teacher.info.maxSessionBytes &&
    together <= Math.min(devices.student.info.maxTotalBytes, devices.teacher.info.maxTotalBytes)
  );
}

function refuseSize(sizes: readonly number[], { student }: DeviceHosts, mayRecompute: boolean): never {
  const gib = (bytes: number) => `${(bytes / 2 ** 30).toFixed(2)} GiB`;
  const { maxSessionBytes: one, maxTotalBytes: all } = student.info;
  const limit = one < all ? `${gib(one)} each` : `${gib(all)} together`;
  const found = `student ${gib(sizes[0]!)}${sizes[1] ? `, teacher ${gib(sizes[1])}` : ''}`;
  throw new InputError(
    `expected models of at most ${limit} on this device, found ${found}; ` +
      `use smaller models, a shorter --sequence${mayRecompute ? ', --recompute on' : ''} or a smaller --micro-batch`,
  );
}
