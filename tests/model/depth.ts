import type { Device } from '#src/devices/device.js';
import type { Matrices } from '#src/devices/webgpu/lowering/lowering.js';
import { emulateMatrices } from '../devices/emulatedMatrices.js';
import { openChanged } from '../devices/gpuDevice.js';
import { referenceDevice } from '../program/referenceDevice.js';
import { type Batch, Training, type TrainingOptions } from './training.js';

/** Gradients of adapters of deep models, against f64. */

type Gradients = ReadonlyMap<string, Float32Array>;

/** Subgroup matrices to emulate where the adapter has none. */
const MATRICES: Matrices = { m: 8, n: 8, k: 8, subgroup: 32 };

/** The adapter at hand with kernels of a kind, matrices emulated. */
export function openHalves(kernels: 'f16' | 'matrix'): Promise<Device> {
  if (kernels === 'f16') return openChanged({}, { kernels: 'f16' });
  const rewrite = (code: string) => emulateMatrices(code, MATRICES.subgroup);
  return openChanged({ matrices: MATRICES, lanes: undefined }, { kernels: 'f16', rewrite });
}

export async function gradientsOn(
  device: Device,
  options: TrainingOptions,
  batch: Batch,
): Promise<Gradients> {
  const training = await Training.start({ ...options, device });
  await training.learn(batch);
  const gradients = await training.gradients();
  await training.close();
  return gradients;
}

export const referenceGradients = (options: TrainingOptions, batch: Batch): Promise<Gradients> =>
  gradientsOn(referenceDevice, options, batch);

export interface Closeness {
  readonly cosine: number;
  /** |actual - expected| / |expected| */
  readonly relative: number;
}

export function closenessOf(actual: Float32Array, expected: Float32Array): Closeness {
  let [product, difference, actualSquare, expectedSquare] = [0, 0, 0, 0];
  for (let i = 0; i < expected.length; i++) {
    const [a, e] = [actual[i]!, expected[i]!];
    product += a * e;
    difference += (a - e) ** 2;
    actualSquare += a * a;
    expectedSquare += e * e;
  }
  return {
    cosine: product / Math.sqrt(actualSquare * expectedSquare),
    relative: Math.sqrt(difference / expectedSquare),
  };
}

/** `q_proj A` of a tensor's name. */
export const kindOf = (name: string): string => name.replace(/.*\.(\w+)\.lora_(.)\.weight$/, '$1 $2');
