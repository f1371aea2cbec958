import { InputError } from '../base/errors.js';
import type { DeviceHosts } from '../devices/host.js';
import { type StudentOptions, studentModule, teacherModule } from '../model/programs.js';
import type { ModelFiles } from '../model/weights.js';
import type { TrainOptions } from '../options/train.js';
import type { MemoryPlan } from '../program/plan.js';

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
function waysToRun({ batch, sequence, microBatch, recompute }: TrainOptions, most: number): Way[] {
  const sizes =
    microBatch === undefined
      ? divisorsOf(batch).filter((rows) => rows === 1 || rows * sequence <= most)
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

/**
 * The fastest way to run a batch whose plans fit the devices.
 * @throws InputError when none does, when the batch is beyond all bounds, or `--micro-batch` does not divide it
 */
export function chooseWay(
  options: TrainOptions,
  devices: DeviceHosts,
  studentWith: (way: Way) => StudentOptions,
  teacher: ModelFiles | undefined,
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
  let sizes: number[] = [];
  for (const way of waysToRun(options, devices.student.info.microBatchTokens)) {
    const plans = {
      student: devices.student.plan(studentModule(studentWith(way)).module),
      teacher: teacher && devices.teacher.plan(teacherModule(teacher, { rows: way.rows, sequence }).module),
    };
    sizes = [plans.student, plans.teacher].map((plan) => (plan ? totalBytes(plan) : 0));
    if (fits(sizes, devices)) return { way, plans };
  }
  return refuseSize(sizes, devices, options);
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

function refuseSize(sizes: readonly number[], { student }: DeviceHosts, options: TrainOptions): never {
  const gib = (bytes: number) => `${(bytes / 2 ** 30).toFixed(2)} GiB`;
  const { maxSessionBytes: one, maxTotalBytes: all } = student.info;
  const limit = one < all ? `${gib(one)} each` : `${gib(all)} together`;
  const found = `student ${gib(sizes[0]!)}${sizes[1] ? `, teacher ${gib(sizes[1])}` : ''}`;
  const ways = [
    'smaller models',
    'a shorter --sequence',
    ...(options.trainable === 'lora' ? ['a lower --rank'] : []),
    ...(options.recompute === 'off' ? ['--recompute on'] : []),
    ...(options.evalTasks || options.evalGenerate
      ? ['fewer --shots, or a lower --max-tokens, of evaluations']
      : []),
  ];
  throw new InputError(
    `expected models of at most ${limit} on this device, found ${found}; use ${ways.join(', ')} or a smaller --micro-batch`,
  );
}
