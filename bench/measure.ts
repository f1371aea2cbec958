import { randomUint32 } from '#src/data/random.js';
import type { Device, HostArray, Session } from '#src/devices/device.js';
import { Builder } from '#src/program/builder.js';
import { ops } from '#src/program/ops.js';
import { elementCount, type Value } from '#src/program/types.js';
import { RANK, ROWS, SEQUENCE, SHAPES, type ShapeName } from './shapes.js';

/** Sizes an op's bench builds its case from. */
export interface Sizes {
  readonly rows: number;
  readonly sequence: number;
  readonly tokens: number;
  readonly rank: number;
  readonly hidden: number;
  readonly intermediate: number;
  readonly heads: number;
  readonly keyValueHeads: number;
  readonly headDim: number;
  readonly vocabulary: number;
  readonly teacherHidden: number;
  readonly teacherIntermediate: number;
}

export function sizesOf(
  shape: ShapeName,
  batch: Pick<Sizes, 'rank' | 'rows' | 'sequence'> = { rank: RANK, rows: ROWS, sequence: SEQUENCE },
): Sizes {
  const { student, teacher } = SHAPES[shape];
  return {
    ...batch,
    tokens: batch.rows * batch.sequence,
    hidden: student.hidden,
    intermediate: student.intermediate,
    heads: student.heads,
    keyValueHeads: student.keyValueHeads,
    headDim: student.headDim ?? student.hidden / student.heads,
    vocabulary: student.vocabulary,
    teacherHidden: teacher.hidden,
    teacherIntermediate: teacher.intermediate,
  };
}

/** One measured case of an op. `build` declares values and calls the op on them. */
export interface OpBench {
  readonly label: string;
  readonly build: (b: Builder) => void;
  /** What values hold by their names, where it matters. */
  readonly contents?: Readonly<Record<string, HostArray>>;
}

export interface Timing {
  readonly seconds_p20: number;
  readonly seconds_p50: number;
  readonly seconds_p80: number;
}

export interface OpResult extends Timing {
  readonly gflops: number;
  readonly gbps: number;
}

const MIN_SAMPLES = 7;
const MIN_SECONDS = 0.7;
const WARM_UP = 3;

export function percentiles(seconds: readonly number[]): Timing {
  const sorted = [...seconds].sort((a, b) => a - b);
  const at = (p: number) => sorted[Math.min(sorted.length - 1, Math.floor(p * sorted.length))]!;
  return { seconds_p20: at(0.2), seconds_p50: at(0.5), seconds_p80: at(0.8) };
}

/** Random elements that are made; larger values repeat them. */
const BLOCK = 2 ** 20;

/** Numbers in [-0.5, 0.5), small integers for tokens, labels and positions: what the op reads, not what it means. */
export async function fill(session: Session, value: Value, sequence = SEQUENCE): Promise<void> {
  const size = elementCount(value.shape);
  const block = randomBlock(value, Math.min(size, BLOCK), sequence);
  for (let from = 0; from < size; from += BLOCK) {
    await session.write(value, block.subarray(0, size - from), from);
  }
}

/** Of matrices: as large as an initialised model's, near 0.02, as bf16 with sign and mantissa at random. */
const makeMatrixBits = () =>
  Uint16Array.from({ length: 2 * BLOCK }, (_, i) => 0x3c80 | (randomUint32(1, 0, i) & 0x807f));
let matrixBits: Uint16Array | undefined;
/** Of norms: 1.0. */
const NORM_BITS = 0x3f80;
const asF32 = (bits: Uint16Array) => new Float32Array(Uint32Array.from(bits, (half) => half << 16).buffer);
/** Of places in `matrixBits` where tensors begin, so that none is the same as another. */
const SHIFT = 40_504;

/** A model's numbers, such that a step stays finite: norms are 1, matrices small. */
export async function fillModelValue(session: Session, value: Value): Promise<void> {
  const size = elementCount(value.shape);
  const first = (value.id * SHIFT) % BLOCK;
  const length = Math.min(size, BLOCK);
  matrixBits ??= makeMatrixBits();
  const isMatrix = value.shape.length > 1;
  const bits = isMatrix
    ? matrixBits.subarray(first, first + length)
    : new Uint16Array(length).fill(NORM_BITS);
  const block = value.dtype === 'bf16' ? bits : asF32(bits);
  for (let from = 0; from < size; from += BLOCK) {
    await session.write(value, block.subarray(0, size - from), from);
  }
}

function randomBlock({ id, dtype }: Value, length: number, sequence: number): HostArray {
  const random = (i: number) => randomUint32(1, id, i);
  if (dtype === 'u32') return Uint32Array.from({ length }, (_, i) => i % sequence);
  if (dtype === 'i32') return Int32Array.from({ length }, (_, i) => random(i) % 200);
  if (dtype === 'f32') return Float32Array.from({ length }, (_, i) => random(i) / 2 ** 32 - 0.5);
  // bf16 of magnitude below 1: sign and mantissa at random under a fixed exponent.
  return Uint16Array.from({ length }, (_, i) => 0x3f00 | (random(i) & 0x807f));
}

/** Of one replay: a GPU's own clock where it has one, so that the way there and back does not count. */
async function secondsOf(session: Session, onGpu: boolean): Promise<number> {
  const before = await kernelMs(session);
  const { totalMs, waitMs } = await session.run('op');
  const inKernels = (await kernelMs(session)) - before;
  return (onGpu && inKernels > 0 ? inKernels : totalMs - waitMs) / 1000;
}

const kernelMs = async (session: Session): Promise<number> =>
  (await session.profile()).reduce((sum, { ms }) => sum + ms, 0);

export async function measureOp(device: Device, { build, contents = {} }: OpBench): Promise<OpResult> {
  const b = new Builder();
  b.program('op', { arena: 'op' }, () => build(b));
  const module = b.module();
  const session = await device.compile(module);
  const inputs = module.values.filter((value) => !['activation', 'output'].includes(value.role));
  for (const value of inputs) {
    const given = contents[value.name];
    await (given ? session.write(value, given) : fill(session, value));
  }
  const samples: number[] = [];
  for (let i = 0; i < WARM_UP; i++) await session.run('op');
  const start = performance.now();
  while (samples.length < MIN_SAMPLES || performance.now() - start < MIN_SECONDS * 1000) {
    samples.push(await secondsOf(session, device.info.name === 'webgpu'));
  }
  await session.close();
  const timing = percentiles(samples);
  const costs = module.programs[0]!.calls.map((call) => ops[call.op]!.cost(call));
  const total = (what: 'flops' | 'bytes') => costs.reduce((sum, cost) => sum + cost[what], 0);
  const per = (work: number) => Number((work / timing.seconds_p50 / 1e9).toFixed(2));
  return { ...timing, gflops: per(total('flops')), gbps: per(total('bytes')) };
}
