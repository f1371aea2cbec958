import { PRIORITY, type Session } from '../devices/device.js';
import { type DeviceHost, type DeviceHosts, joinDevice } from '../devices/host.js';
import { studentModule, teacherModule } from '../model/programs.js';
import type { Module, Value } from '../program/types.js';
import type { Preparation } from './prepare.js';

/**
 * Seconds an optimizer step will take, from a few replays of each of its programs on this device. Weights are zeros, which
 * compute as fast as others; reading text, evaluations and checkpoints are not in it.
 */
export async function secondsPerStep(prepared: Preparation, devices: DeviceHosts): Promise<number> {
  const { student, teacher, microBatch, options } = prepared;
  const { module, step } = studentModule(student);
  const { sequence } = options;
  const training = { module, positions: step.positions, sequence, programs: ['step', 'update'] };
  const [learn, update] = await timePrograms(devices.student, training);
  let forward: number | undefined = 0;
  if (teacher) {
    const { module, positions } = teacherModule(teacher, student.train);
    [forward] = await timePrograms(devices.teacher, { module, positions, sequence, programs: ['forward'] });
  }
  return (options.batch / microBatch) * (learn! + forward!) + update!;
}

interface Timed {
  readonly module: Module;
  readonly positions: Value;
  readonly sequence: number;
  readonly programs: readonly string[];
}

async function timePrograms(
  host: DeviceHost,
  { module, positions, sequence, programs }: Timed,
): Promise<number[]> {
  const device = joinDevice(host.connect());
  try {
    const session = await device.compile(module);
    await session.write(positions, rowPositions(positions, sequence));
    const seconds: number[] = [];
    for (const program of programs) seconds.push(await secondsOf(session, program));
    await session.close();
    return seconds;
  } finally {
    await device.close();
  }
}

const REPLAYS = 5;
const ENOUGH_MS = 1000;

/** The fastest of a few replays: the first ones touch their memory for the first time and run code not yet optimised. */
async function secondsOf(session: Session, program: string): Promise<number> {
  const times: number[] = [];
  const start = performance.now();
  while (times.length < 2 || (times.length < REPLAYS && performance.now() - start < ENOUGH_MS)) {
    const { totalMs, waitMs } = await session.run(program, PRIORITY.student);
    times.push(totalMs - waitMs);
  }
  return Math.min(...times) / 1000;
}

/** Whole rows of one document each: the most that attention can have to do. */
const rowPositions = ({ shape }: Value, sequence: number): Uint32Array =>
  Uint32Array.from({ length: shape[0]! }, (_, i) => i % sequence);
