import type { Device } from '#src/devices/device.js';
import { KeyValueCache } from '#src/inference/keyValueCache.js';
import { evaluationModule } from '#src/model/programs.js';
import { valueBytes } from '#src/program/types.js';
import { percentiles, type Timing } from './measure.js';
import { fillModel, randomFiles } from './randomModel.js';
import type { ShapeName } from './shapes.js';

/** Tokens of a prompt whose reading is timed, those that decoding begins after, and those it is timed for. */
const [PREFILL, PROMPT, DECODED] = [512, 64, 48];
const WARM_UP = 2;
const PREFILLS = 5;

export interface GenerationResult extends Timing {
  /** Prompts at once. */
  readonly rows: number;
  readonly tokens_per_s: number;
  /** Bytes of weights that a pass reads, over the time of one. */
  readonly gbps: number;
  readonly gflops: number;
  readonly planned_bytes: number;
}

/** Writing one token after another for some prompts; of one alone, also reading it, 512 tokens. */
export async function measureGeneration(
  device: Device,
  shape: ShapeName,
  rows: number,
): Promise<{ readonly prefill?: GenerationResult; readonly decode: GenerationResult }> {
  const module = evaluationModule(randomFiles(shape, 'student'), { rows: 1, sequence: 1 }, undefined, {
    ...{ rows, capacity: PREFILL + DECODED + WARM_UP },
  });
  const session = await device.compile(module.module);
  await fillModel(session, module.weights);
  const matrices = [...module.weights.values.values()].filter(({ shape: { length } }) => length > 1);
  const weightBytes = matrices.reduce((sum, value) => sum + valueBytes(value), 0);
  const parameters = matrices.reduce((sum, { shape: [n, k] }) => sum + n! * k!, 0);
  const { persistent, activations } = session.plan.bytes;
  const cache = new KeyValueCache(session, module.cache!);
  const tokensOf = (length: number) => Array.from({ length }, (_, i) => (31 * i) % 200);
  const result = (samples: readonly number[], tokens: number): GenerationResult => {
    const timing = percentiles(samples);
    const per = (work: number) => Number((work / timing.seconds_p50 / 1e9).toFixed(2));
    return {
      ...timing,
      rows,
      tokens_per_s: Number((tokens / timing.seconds_p50).toFixed(1)),
      gbps: per(weightBytes),
      gflops: per(2 * parameters * tokens),
      planned_bytes: persistent + activations,
    };
  };
  const prefills: number[] = [];
  for (let i = 0; rows === 1 && i < WARM_UP + PREFILLS; i++) {
    cache.reset();
    prefills.push(await secondsOf(() => cache.prefill([tokensOf(PREFILL)])));
  }
  cache.reset();
  await cache.prefill(Array.from({ length: rows }, () => tokensOf(PROMPT)));
  const steps: number[] = [];
  for (let i = 0; i < WARM_UP + DECODED; i++) {
    steps.push(await secondsOf(() => cache.advance(new Array(rows).fill(i))));
  }
  await session.close();
  return {
    decode: result(steps.slice(WARM_UP), rows),
    ...(rows === 1 && { prefill: result(prefills.slice(WARM_UP), PREFILL) }),
  };
}

async function secondsOf(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1000;
}
