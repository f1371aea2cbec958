import { startHash } from '../../formats/hashes.js';
import { lengthOf, type TensorInfo, tensorChunks } from '../../formats/safetensors.js';
import { type FloatDtype, toFloat32 } from '../../formats/tensors/floats.js';
import type { End, Triplets } from './bidiagonal.js';
import { type Factors, factorsOf } from './factors.js';
import { type KeptTriplets, keptCount, keptFile, readKept, writeKept } from './kept.js';
import { singularTriplets } from './singular.js';

/** A weight [out, in] whose singular vectors an adapter starts with. */
export interface Job {
  /** Of the module: `model.layers.0.mlp.up_proj`. */
  readonly module: string;
  readonly weight: TensorInfo;
  readonly end: End;
  readonly rank: number;
  /** s */
  readonly scale: number;
}

export interface Found extends Factors {
  /** What went wrong with what is kept, in a line: it cost time, nothing else. */
  readonly problem?: string;
}

/** The factors that an adapter starts with: from what is kept of the same weight, or found and then kept. */
export async function findFactors({ weight, end, rank, scale }: Job): Promise<Found> {
  const { dtype, shape } = weight;
  const [out = 0, inputs = 0] = shape;
  const { data, hash } = await readWeight(weight);
  const count = keptCount(rank, Math.min(out, inputs));
  const path = keptFile({ hash, dtype, shape, end, count });
  const before = await readKept(path);
  if (before && before !== 'damaged') return factorsOf(before, rank, { end, scale });
  const triplets = rounded(singularTriplets({ out, inputs, data }, end, count));
  const unkept = await writeKept(path, triplets);
  const damaged =
    before && `${path}: expected singular vectors as they were kept, found others; they are made anew`;
  const problem = unkept ?? damaged;
  return { ...factorsOf(triplets, rank, { end, scale }), ...(problem === undefined ? {} : { problem }) };
}

/** A weight as float32, which holds all of it exactly, and the hash of its bytes. */
async function readWeight(weight: TensorInfo): Promise<{ data: Float32Array; hash: string }> {
  const hash = await startHash();
  const data = new Float32Array(lengthOf(weight));
  for (const { first, bytes } of tensorChunks(weight)) {
    hash.update(bytes);
    data.set(toFloat32(weight.dtype as FloatDtype, bytes), first);
  }
  return { data, hash: hash.digest() };
}

const rounded = ({ values, left, right }: Triplets): KeptTriplets => ({
  values,
  left: joined(left),
  right: joined(right),
});

function joined(vectors: readonly Float64Array[]): Float32Array {
  const length = vectors[0]!.length;
  const all = new Float32Array(vectors.length * length);
  vectors.forEach((vector, i) => {
    all.set(vector, i * length);
  });
  return all;
}
