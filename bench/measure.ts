import { randomUint32 } from '#src/data/random.js';
import type { Device, Session } from '#src/devices/device.js';
import { Builder } from '#src/program/builder.js';
import { ops } from '#src/program/ops/index.js';
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
}

export function sizesOf(shape: ShapeName): Sizes {
  const { student, teacher } = SHAPES[shape];
  return {
    rows: ROWS,
    sequence: SEQUENCE,
    tokens: ROWS * SEQUENCE,
    rank: RANK,
    hidden: student.hidden,
    intermediate: student.intermediate,
    heads: student.heads,
    keyValueHeads: student.keyValueHeads,
    headDim: student.headDim ?? student.hidden / student.heads,
    vocabulary: student.vocabulary,
    teacherHidden: teacher.hidden,
  };
}

/** One measured case of an op. `build` declares values and calls the op on them. */
export interface OpBench {
  readonly label: string;
  readonly build: (b: Builder) => void;
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

/** Numbers in [-0.5, 0.5), small integers for tokens, labels and positions: what the op reads, not what it means. */
export async function fill(session: Session, value: Value, sequence = SEQUENCE): Promise<void> {
  const size = elementCount(value.shape);
  const random = (i: number) => randomUint32(1, value.id, i) / 2 ** 32;
  if (value.dtype === 'u32')
    await session.write(
      value,
      Uint32Array.from({ length: size }, (_, i) => i % sequence),
    );
  else if (value.dtype === 'i32') {
    await session.write(
      value,
      Int32Array.from({ length: size }, (_, i) => Math.floor(random(i) * 200)),
    );
  } else if (value.dtype === 'f32') {
    await session.write(
      value,
      Float32Array.from({ length: size }, (_, i) => random(i) - 0.5),
    );
  } else {
    // bf16 of magnitude below 1: sign and mantissa at random under a fixed exponent.
    await session.write(
      value,
      Uint16Array.from({ length: size }, (_, i) => 0x3f00 | (randomUint32(1, value.id, i) & 0x807f)),
    );
  }
}

export async function measureOp(device: Device, { build }: OpBench): Promise<OpResult> {
  const b = new Builder();
  b.program('op', { arena: 'op' }, () => build(b));
  const module = b.module();
  const session = await device.compile(module);
  const inputs = module.values.filter((value) => !['activation', 'output'].includes(value.role));
  for (const value of inputs) await fill(session, value);
  const samples: number[] = [];
  for (let i = 0; i < WARM_UP; i++) await session.run('op');
  const start = performance.now();
  while (samples.length < MIN_SAMPLES || performance.now() - start < MIN_SECONDS * 1000) {
    const { totalMs, waitMs } = await session.run('op');
    samples.push((totalMs - waitMs) / 1000);
  }
  await session.close();
  const timing = percentiles(samples);
  const costs = module.programs[0]!.calls.map((call) => ops[call.op]!.cost(call));
  const total = (what: 'flops' | 'bytes') => costs.reduce((sum, cost) => sum + cost[what], 0);
  const per = (work: number) => Number((work / timing.seconds_p50 / 1e9).toFixed(2));
  return { ...timing, gflops: per(total('flops')), gbps: per(total('bytes')) };
}
