import { InputError } from '../../base/errors.js';
import type { TensorInfo } from '../../formats/safetensors.js';
import { keptCount } from './kept.js';
import { decompositionBytes } from './singular.js';

/** A weight [out, in] whose singular vectors are wanted, as many as `rank` at least. */
export interface Wanted {
  /** Of the module: `model.layers.0.mlp.up_proj`. */
  readonly module: string;
  readonly weight: TensorInfo;
  readonly rank: number;
}

/** What the threads may take together for decompositions; a WebAssembly memory has no more. */
const MOST_BYTES = 2 ** 32;

/**
 * As many threads as there are, can be fed, and have room.
 * @param advice for who asks for a matrix that is too large
 * @throws InputError when there is no room for the largest matrix
 */
export function threadsFor(jobs: readonly Wanted[], threads: number, advice: string): number {
  const bytes = Math.max(...jobs.map(bytesOf));
  if (bytes <= MOST_BYTES) return Math.min(threads, jobs.length, Math.floor(MOST_BYTES / bytes));
  const { module, weight, rank } = jobs.find((job) => bytesOf(job) === bytes)!;
  throw new InputError(
    `${module}: expected a matrix whose singular vectors take at most ${MOST_BYTES / 2 ** 30} GiB to find, found ` +
      `[${weight.shape}] with a rank of ${rank}; ${advice}`,
  );
}

function bytesOf({ weight: { shape }, rank }: Wanted): number {
  const [out = 0, inputs = 0] = shape;
  return decompositionBytes(out, inputs, keptCount(rank, Math.min(out, inputs)));
}
