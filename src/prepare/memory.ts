import { InputError } from '../base/errors.js';
import type { DeviceHosts } from '../devices/host.js';
import { type StudentOptions, studentModule, teacherModule } from '../model/programs.js';
import type { ModelFiles } from '../model/weights.js';
import type { TrainOptions } from '../options/train.js';
import type { MemoryPlan } from '../program/plan.js';
import { valueBytes } from '../program/types.js';

/** Where memory is short, micro-batches shrink to this before blocks are recomputed (docs/log.md, Recompute). */
const RECOMPUTE_BELOW_TOKENS = 512;

/** Places of tokens in a batch, by which dropout is random, have 32 bits. */
const MOST_BATCH_TOKENS = 2 ** 32;

/** How a batch is run: rows at once, and whether the backward pass recomputes what is inside the blocks. */
export interface Way {
  readonly rows: number;
  readonly recompute: boolean;
}

/** The storage of both models, as planned before anything is allocated. */
export interface Plans {
  readonly student: MemoryPlan;
  readonly teacher: MemoryPlan | undefined;
}

/** From the fastest on: divisors of the batch up to `most` tokens; `--micro-batch` and `--recompute` override. */
function waysToRun(
  { batch, sequence, microBatch, recompute }: TrainOptions,
  most: number,
  ranks: number,
): Way[] {
  const sizes =
    microBatch === undefined
      ? divisorsOf(batch).filter((rows) => rows === 1 || (rows * sequence <= most && batch / rows >= ranks))
      : [microBatch];
  const large = sizes.filter((rows, i) => i === 0 || rows * sequence >= RECOMPUTE_BELOW_TOKENS);
  const kept = { auto: large, on: [], off: sizes }[recompute];
  const recomputed = recompute === 'off' ? [] : sizes;
  return [
    ...kept.map((rows) => ({ rows, recompute: false })),
    ...recomputed.map((rows) => ({ rows, recompute: true })),
  ];
}

/** In descending order. */
export function divisorsOf(batch: number): number[] {
  const small: number[] = [];
  for (let divisor = 1; divisor ** 2 <= batch; divisor++) if (batch % divisor === 0) small.push(divisor);
  const large = small.map((divisor) => batch / divisor);
  // The root of a square is in both.
  return [...new Set([...large, ...small.reverse()])];
}

interface WayChoice {
  readonly studentWith: (way: Way) => StudentOptions;
  readonly teacher: ModelFiles | undefined;
  /** That share a batch: each has a micro-batch at least. */
  readonly ranks: number;
}

/**
 * The fastest way to run a batch whose plans fit the devices.
 * @throws InputError when none does, when the batch is beyond all bounds, or `--micro-batch` does not divide it
 */
export function chooseWay(
  options: TrainOptions,
  devices: DeviceHosts,
  { studentWith, teacher, ranks }: WayChoice,
): { readonly way: Way; readonly plans: Plans } {
  const { batch, sequence, microBatch } = options;
  if (batch * sequence > MOST_BATCH_TOKENS) {
    const most = Math.floor(MOST_BATCH_TOKENS / sequence);
    throw new InputError(
      `--batch: expected at most ${most} rows of ${sequence} tokens, found ${batch}; use fewer, in more --steps`,
    );
  }
  if (microBatch !== undefined && batch % microBatch !== 0) {
    throw new InputError(`--micro-batch: expected a divisor of --batch ${batch}, found ${microBatch}`);
  }
  const most = batch / (microBatch ?? 1);
  if (ranks > most) {
    const rows = microBatch === undefined ? 'rows' : `micro-batches of ${microBatch} rows`;
    const smaller = microBatch === undefined ? '' : ', or a smaller --micro-batch';
    throw new InputError(
      `--batch: expected at least as many ${rows} as ranks, found ${most} for ${ranks} ranks; start fewer${smaller}`,
    );
  }
  let plans: Plans | undefined;
  for (const way of waysToRun(options, devices.student.info.microBatchTokens, ranks)) {
    plans = {
      student: devices.student.plan(studentModule(studentWith(way)).module),
      teacher: teacher && devices.teacher.plan(teacherModule(teacher, { rows: way.rows, sequence }).module),
    };
    if (fits(sizesOf(plans), devices)) return { way, plans };
  }
  return refuseSize(plans!, devices, options);
}

const sizesOf = ({ student, teacher }: Plans): [student: number, teacher: number] => [
  totalBytes(student),
  teacher ? totalBytes(teacher) : 0,
];

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

/** Of the smallest way to run the batch. */
function refuseSize(plans: Plans, devices: DeviceHosts, options: TrainOptions): never {
  const [student, teacher] = sizesOf(plans);
  const { maxSessionBytes: one, maxTotalBytes: all } = devices.student.info;
  const limit = one < all ? `${gib(one)} each` : `${gib(all)} together`;
  const found = `student ${gib(student)}${teacher ? `, teacher ${gib(teacher)}` : ''}`;
  const heavy = tooHeavy(plans, devices);
  const ways = heavy ? waysOut(heavy, student + teacher, devices) : smallerRuns(options);
  throw new InputError(
    `expected models of at most ${limit} on this device, found ${found}` +
      `${heavy ? `, of which the ${heavy}'s weights alone are more` : ''}; use ${ways}`,
  );
}

const gib = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(2)} GiB`;

/** A model that no batch, sequence or rank makes small enough. */
function tooHeavy({ student, teacher }: Plans, devices: DeviceHosts): 'student' | 'teacher' | undefined {
  const weights = ({ persistent }: MemoryPlan) =>
    persistent.reduce((sum, value) => sum + (value.role === 'weight' ? valueBytes(value) : 0), 0);
  if (teacher && weights(teacher) > devices.teacher.info.maxSessionBytes) return 'teacher';
  return weights(student) > devices.student.info.maxSessionBytes ? 'student' : undefined;
}

/** WebAssembly's memory is what is small there: a GPU holds as much as it has. */
function waysOut(heavy: 'student' | 'teacher', together: number, devices: DeviceHosts): string {
  const onGpu = `--device webgpu with a GPU of at least ${Math.ceil(together / 2 ** 30)} GiB`;
  const isWasm = devices[heavy].info.name === 'wasm';
  return isWasm ? `${onGpu}, or a smaller ${heavy}` : `a larger GPU, or a smaller ${heavy}`;
}

function smallerRuns({ trainable, recompute, evalTasks, evalGenerate }: TrainOptions): string {
  const ways = [
    'smaller models',
    'a shorter --sequence',
    ...(trainable === 'lora' ? ['a lower --rank'] : []),
    ...(recompute === 'off' ? ['--recompute on'] : []),
    ...(evalTasks || evalGenerate ? ['fewer --shots, or a lower --max-tokens, of evaluations'] : []),
  ];
  return `${ways.join(', ')} or a smaller --micro-batch`;
}
