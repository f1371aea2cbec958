import { join } from 'node:path';
import * as assert from 'uvu/assert';
import type { Device } from '#src/devices/device.js';
import { openDevice } from '#src/devices/openDevice.js';
import type { Matrices } from '#src/devices/webgpu/lowering/lowering.js';
import { emulateMatrices } from '../devices/emulatedMatrices.js';
import { kernelKinds, openChanged } from '../devices/gpuDevice.js';
import { referenceDevice } from '../program/referenceDevice.js';
import { temporaryFolder } from '../support.js';
import { type Batch, Training, type TrainingOptions } from '../training/training.js';
import { deepAdapter, deepBatch, type Style, writeDeepModel } from './deepModels.js';

/** Gradients of adapters through many blocks, with storage in halves, against f64. */

export const HALF_KERNELS = ['f16', 'matrix'] as const;
export type HalfKernels = (typeof HALF_KERNELS)[number];

/** Every tensor's, whatever the kernels. */
const BOUND = { cosine: 0.999, relative: 0.02 };

/** Subgroup matrices to emulate where the adapter has none. */
const MATRICES: Matrices = { m: 8, n: 8, k: 8, subgroup: 32 };

/** The adapter at hand with kernels of a kind. */
export async function openHalves(kernels: HalfKernels): Promise<Device> {
  if (kernels === 'f16') return openChanged({}, { kernels });
  if (kernelKinds.includes('matrix')) return openDevice('webgpu', { kernels, allowSoftware: true });
  const emulated = new Set<string>();
  const rewrite = (code: string) => {
    for (const [, name] of code.matchAll(/^fn (linear_matrix|attention_o|attention_matrix_dq)\(/gm)) {
      emulated.add(name!);
    }
    return emulateMatrices(code, MATRICES.subgroup);
  };
  const device = await openChanged({ matrices: MATRICES, lanes: undefined }, { kernels: 'f16', rewrite });
  const close = async () => {
    await device.close();
    assert.is(emulated.size, 3, `expected matrices for products and attention, found ${[...emulated]}`);
  };
  return { ...device, close };
}

export interface Problem {
  readonly options: TrainingOptions;
  readonly batch: Batch;
}

/** A deep model with an adapter in the middle of a run; a teacher of the same depth, if any. */
export function deepProblem(layers: number, style: Style, isTaught: boolean): Problem {
  const folder = temporaryFolder('depth');
  const student = writeDeepModel(join(folder, 'student'), layers, style, 3);
  const teacher = isTaught ? writeDeepModel(join(folder, 'teacher'), layers, style, 4) : undefined;
  const batch = deepBatch(7);
  const objective = { alpha: teacher ? 0.5 : 0, temperature: 1, weightDecay: 0 };
  const shape = { microRows: batch.rows, sequence: batch.sequence };
  const options = { student, teacher, adapter: deepAdapter(student.config, 5), ...objective, ...shape };
  return { options, batch };
}

export type Gradients = ReadonlyMap<string, Float32Array>;

/** Overflows that a run is likely to start with. */
const MOST_OVERFLOWS = 6;
const UPDATE = {
  ...{ alpha: 0, temperature: 1, steps: 100, warmup: 0 },
  learning_rate: 0,
  weight_decay: 0,
  clip: 1,
};

/** Where gradients overflow the batch is skipped and comes again, as in a run, with half the loss scale. */
export async function gradientsOn(device: Device, { options, batch }: Problem): Promise<Gradients> {
  const training = await Training.start({ ...options, device });
  try {
    for (let overflows = 0; overflows <= MOST_OVERFLOWS; overflows++) {
      const { count } = await training.learn(batch);
      const gradients = await training.gradients();
      if ([...gradients.values()].every((gradient) => gradient.every(Number.isFinite))) return gradients;
      assert.not(Number.isFinite(await training.update(UPDATE, 1, count)), 'an overflow was not noticed');
    }
    return assert.unreachable('gradients are not finite, whatever the loss scale') as never;
  } finally {
    await training.close();
  }
}

export const referenceGradients = (problem: Problem): Promise<Gradients> =>
  gradientsOn(referenceDevice, problem);

export interface Closeness {
  readonly tensor: string;
  readonly cosine: number;
  /** |actual - expected| / |expected| */
  readonly relative: number;
}

function closenessOf(tensor: string, actual: Float32Array, expected: Float32Array): Closeness {
  let [product, difference, actualSquare, expectedSquare] = [0, 0, 0, 0];
  for (const [i, e] of expected.entries()) {
    const a = actual[i]!;
    product += a * e;
    difference += (a - e) ** 2;
    actualSquare += a * a;
    expectedSquare += e * e;
  }
  const cosine = product / Math.sqrt(actualSquare * expectedSquare);
  return { tensor, cosine, relative: Math.sqrt(difference / expectedSquare) };
}

/** How close each tensor's gradient is, the worst one first. */
export function compare(actual: Gradients, expected: Gradients): Closeness[] {
  assert.equal([...actual.keys()], [...expected.keys()]);
  const all = [...actual].map(([tensor, gradient]) => closenessOf(tensor, gradient, expected.get(tensor)!));
  return all.sort((a, b) => b.relative - a.relative);
}

/** Holds every tensor to the bound. @returns the worst ones of each kind, `q_proj A` and so on, for a table */
export function expectClose(actual: Gradients, expected: Gradients): Map<string, Closeness> {
  const all = compare(actual, expected);
  for (const { tensor, cosine, relative } of all) {
    const isClose = cosine >= BOUND.cosine && relative <= BOUND.relative;
    assert.ok(
      isClose,
      `the gradient of ${tensor} has cosine ${cosine} and is off by ${relative} of its size`,
    );
  }
  const kindOf = (tensor: string) => tensor.replace(/.*\.(\w+)\.lora_(.)\.weight$/, '$1 $2');
  // The last entry of a key wins.
  return new Map(all.reverse().map((closeness) => [kindOf(closeness.tensor), closeness]));
}
