import { PRIORITY } from '../devices/device.js';
import { type DeviceHost, type DeviceHosts, joinDevice } from '../devices/host.js';
import type { TeacherSignal } from '../messages.js';
import { runOf } from '../model/gradientTree.js';
import { type StudentOptions, studentModule, teacherModule } from '../model/programs.js';
import { LossScale } from '../training/lossScale.js';
import { type LearnedRows, TrainingStep } from '../training/step.js';
import type { Preparation } from './prepare.js';

/** Seconds of a step's parts: of every micro-batch, teacher included, and of the update. */
export interface StepTimes {
  readonly microBatch: number;
  readonly update: number;
}

/**
 * What a step's parts will take, from a few replays of each of its programs on this device. Weights are zeros, which
 * compute as fast as others; reading text, evaluations and checkpoints are not in it.
 */
export async function stepTimes(
  { student, teacher, cache }: Preparation,
  devices: DeviceHosts,
): Promise<StepTimes> {
  const { learn, update } = await timeStudent(devices.student, student);
  const forward =
    teacher && !cache?.isCovered ? await timeTeacher(devices.teacher, teacher, student.train) : 0;
  return { microBatch: learn + forward, update };
}

/** Seconds of an optimizer step with all its parts; of several ranks, with the micro-batches of this one alone. */
export async function secondsPerStep(prepared: Preparation, devices: DeviceHosts): Promise<number> {
  const { microBatch, update } = await stepTimes(prepared, devices);
  const { rank, size } = prepared.place;
  return runOf(rank, size, prepared.student.microBatches).count * microBatch + update;
}

async function timeStudent(
  host: DeviceHost,
  student: StudentOptions,
): Promise<Record<'learn' | 'update', number>> {
  const device = joinDevice(host.connect());
  try {
    const model = studentModule(student);
    const session = await device.compile(model.module);
    const { microBatches, lossScaling, train } = student;
    const lossScale = lossScaling ? new LossScale() : undefined;
    const parts = [{ first: 0, count: microBatches }];
    const setting = { parts, seed: 0, clip: 1, loraPlus: 1, lossScale };
    const step = await TrainingStep.prepare(session, model, setting);
    const rows = wholeRows(train.rows * train.sequence, train.sequence);
    const { teacherHidden } = model.step;
    const signal: TeacherSignal = teacherHidden
      ? { kind: 'hidden', hidden: new Float32Array(teacherHidden.shape[0]! * teacherHidden.shape[1]!) }
      : { kind: 'none' };
    // Micro-batch 0 moves no partial sums: they are small beside a step.
    const learn = await secondsOf(async () => (await (await step.learn(rows, signal)).done).stats);
    const rate = { step: 1, learningRate: 0, count: rows.tokens.length };
    const update = await secondsOf(async () => (await step.update(rate)).stats);
    await session.close();
    return { learn, update };
  } finally {
    await device.close();
  }
}

async function timeTeacher(
  host: DeviceHost,
  teacher: NonNullable<Preparation['teacher']>,
  shape: StudentOptions['train'],
): Promise<number> {
  const device = joinDevice(host.connect());
  try {
    const { module, positions } = teacherModule(teacher, shape);
    const session = await device.compile(module);
    await session.write(positions, wholeRows(positions.shape[0]!, shape.sequence).positions);
    const seconds = await secondsOf(() => session.run('forward', PRIORITY.teacher));
    await session.close();
    return seconds;
  } finally {
    await device.close();
  }
}

const REPLAYS = 5;
const ENOUGH_MS = 1000;
const LONG_MS = 10_000;

/**
 * The fastest of a few replays: the first ones touch their memory for the first time and run code not yet optimised, of
 * which nothing is left to see in a long one.
 */
async function secondsOf(replay: () => Promise<{ totalMs: number; waitMs: number }>): Promise<number> {
  const times: number[] = [];
  const start = performance.now();
  const isEnough = () => {
    const elapsed = performance.now() - start;
    return times.length >= REPLAYS || elapsed >= (times.length < 2 ? LONG_MS : ENOUGH_MS);
  };
  do {
    const { totalMs, waitMs } = await replay();
    times.push(totalMs - waitMs);
  } while (!isEnough());
  return Math.min(...times) / 1000;
}

/** Whole rows of one document each: the most that attention can have to do. */
const wholeRows = (size: number, sequence: number): LearnedRows => ({
  step: 1,
  index: 0,
  tokens: new Uint32Array(size),
  labels: new Int32Array(size),
  positions: Uint32Array.from({ length: size }, (_, i) => i % sequence),
  place: Uint32Array.from({ length: size }, (_, i) => i),
});
