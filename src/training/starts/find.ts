import { startHash } from '../../formats/hashes.js';
import { lengthOf, type TensorInfo, tensorChunks } from '../../formats/safetensors.js';
import { type FloatDtype, toFloat32 } from '../../formats/tensors/floats.js';
import type { End, Triplets } from './bidiagonal.js';
import { type Factors, factorsOf } from './factors.js';
import { type KeptTriplets, keptCount, keptFile, readKept, writeKept } from './kept.js';
import type { Wanted } from './room.js';
import { singularTriplets } from './singular.js';

/** A weight whose singular vectors an adapter starts with. */
export interface Job extends Wanted {
  readonly end: End;
  /** s */
  readonly scale: number;
}

export interface Found extends Factors {
  /** What went wrong with what is kept, in a line: it cost time, nothing else. */
  readonly problem?: string;
}

/** The factors that an adapter starts with. */
export async function findFactors({ weight, end, rank, scale }: Job): Promise<Found> {
  const { triplets, problem } = await findTriplets(await readWeight(weight), end, rank);
  return { ...factorsOf(triplets, rank, { end, scale }), ...(problem === undefined ? {} : { problem }) };
}

/** A weight [out, in] as float32, which holds all of it exactly, and the XXH64 of its bytes. */
export interface ReadWeight {
  readonly info: TensorInfo;
  readonly data: Float32Array;
  readonly hash: string;
}

export async function readWeight(info: TensorInfo): Promise<ReadWeight> {
  const hash = await startHash();
  const data = new Float32Array(lengthOf(info));
  for (const { first, bytes } of tensorChunks(info)) {
    hash.update(bytes);
    data.set(toFloat32(info.dtype as FloatDtype, bytes), first);
  }
  return { info, data, hash: hash.digest() };
}

/**
 * The first, or last, singular triplets of a weight, `rank` of them or more: what is kept of the same weight, or found and
 * then kept. `problem`: what went wrong with that, in a line.
 */
export async function findTriplets(
  { info: { dtype, shape }, data, hash }: ReadWeight,
  end: End,
  rank: number,
): Promise<{ readonly triplets: KeptTriplets; readonly problem: string | undefined }> {
  const [out = 0, inputs = 0] = shape;
  const count = keptCount(rank, Math.min(out, inputs));
  const path = keptFile({ hash, dtype, shape, end, count });
  const before = await readKept(path);
  if (before && before !== 'damaged') return { triplets: before, problem: undefined };
  const triplets = rounded(singularTriplets({ out, inputs, data }, end, count));
  const unkept = await writeKept(path, triplets);
  const damaged =
    before && `${path}: expected singular vectors as they were kept, found others; they are made anew`;
  return { triplets, problem: unkept ?? damaged };
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
