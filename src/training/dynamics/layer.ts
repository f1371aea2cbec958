import { readParameters } from '../../formats/parameters.js';
import { splitStart } from '../../formats/startFactors.js';
import { readWhole } from '../../formats/tensors/floats.js';
import type { TensorSource } from '../../formats/tensors/source.js';
import { findTriplets, type ReadWeight, readWeight } from '../starts/find.js';
import type { KeptTriplets } from '../starts/kept.js';
import type { Wanted } from '../starts/room.js';
import { changeFacts, type Subspaces } from './change.js';

/** A layer's weight W, and folders with the adapters that were trained on it, one at several times. */
export interface LayerJob extends Wanted {
  /** s */
  readonly scale: number;
  /** Whether the adapter began with singular vectors, which it takes away again. */
  readonly hasStart: boolean;
  /** `readParameters` finds an adapter in each. */
  readonly folders: readonly string[];
}

/** What an adapter does to a weight W. */
export interface LayerChange {
  /** |dW|_F / |W|_F */
  readonly norm: number;
  /** |dW|_F^2 / |dW|_2^2; NaN where dW is 0, as are the shares. */
  readonly stableRank: number;
  /**
   * Shares of |dW|_F^2 inside what the first, and the last, singular vectors of W span: those of the left ones and of the
   * right ones, their mean.
   */
  readonly top: number;
  readonly bottom: number;
}

export interface LayerChanges {
  /** In the order of the folders. */
  readonly changes: readonly LayerChange[];
  /** What went wrong with what is kept of singular vectors, in a line each. */
  readonly problems: readonly string[];
}

export async function layerChanges(job: LayerJob): Promise<LayerChanges> {
  const [out = 0, inputs = 0] = job.weight.shape;
  const weight = await readWeight(job.weight);
  const [first, last] = [
    await findTriplets(weight, 'first', job.rank),
    await findTriplets(weight, 'last', job.rank),
  ];
  const count = vectorCount(job.rank, Math.min(out, inputs));
  const end = last.triplets.values.length - count;
  const subspaces = [subspace(first.triplets, 0, count), subspace(last.triplets, end, count)];
  const size = normOf(weight);
  const changes: LayerChange[] = [];
  for (const folder of job.folders) {
    const factors = await factorsIn(folder, job);
    const { rank, scale } = job;
    const { norm, stableRank, alignments } = changeFacts({ out, inputs, rank, scale, ...factors }, subspaces);
    const [top, bottom] = alignments.map(({ left, right }) => (left + right) / 2);
    changes.push({ norm: norm / size, stableRank, top: top!, bottom: bottom! });
  }
  return { changes, problems: [first.problem, last.problem].filter((text) => text !== undefined) };
}

/** As many as the rank; half of all where first and last ones would meet. */
const vectorCount = (rank: number, most: number): number => Math.min(rank, Math.floor(most / 2));

/** What singular vectors from the place `from` on span. */
function subspace({ values, left, right }: KeptTriplets, from: number, count: number): Subspaces {
  const rows = (data: Float32Array) => {
    const length = data.length / values.length;
    return Array.from({ length: count }, (_, i) =>
      data.subarray((from + i) * length, (from + i + 1) * length),
    );
  };
  return { left: rows(left), right: rows(right) };
}

async function factorsIn(folder: string, { module, hasStart }: LayerJob) {
  const whole = readParameters(folder, 'adapter').filter(({ name }) => name.startsWith(`${module}.lora_`));
  const { trained, start } = hasStart ? splitStart(whole) : { trained: whole, start: [] };
  const [a, b] = await factorsOf(trained, module);
  if (!hasStart) return { a, b };
  const [a0, b0] = await factorsOf(start, module);
  return { a, b, a0, b0 };
}

const factorsOf = (sources: readonly TensorSource[], module: string) =>
  Promise.all(
    ['A', 'B'].map((which) =>
      readWhole(sources.find(({ name }) => name === `${module}.lora_${which}.weight`)!),
    ),
  ) as Promise<[Float32Array, Float32Array]>;

function normOf({ data }: ReadWeight): number {
  let squares = 0;
  for (let i = 0; i < data.length; i++) squares += data[i]! * data[i]!;
  return Math.sqrt(squares);
}
