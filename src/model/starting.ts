import type { Compiling } from '../devices/device.js';
import type { ProgressRecord } from '../records.js';

/** A model of a run, or the only one there is. */
type Which = 'student' | 'teacher' | 'model';

/** How far the start of a model is. */
export type Starting = Omit<ProgressRecord, 'type'>;

/** Of a model's kernels, or of its products on a GPU that has not been timed with them. */
export const compilingOf = (model: Which, { doing, done, total }: Compiling): Starting => ({
  doing: `${doing} the ${model}`,
  done,
  total,
  unit: doing === 'tuning' ? 'products' : 'kernels',
});

const MIB = 2 ** 20;

/** Of a model whose weights are loaded, in bytes. */
export const loadingOf = (model: Which, bytes: number, total: number): Starting => ({
  doing: `loading the ${model}`,
  done: Math.round(bytes / MIB),
  total: Math.round(total / MIB),
  unit: 'MiB',
});
