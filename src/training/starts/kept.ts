import { existsSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { cacheFolder } from '../../base/cacheFolder.js';
import { startHash } from '../../formats/hashes.js';
import { systemCode } from '../../formats/json.js';
import {
  openSafetensors,
  type TensorData,
  type TensorInfo,
  tensorChunks,
  writeSafetensors,
} from '../../formats/safetensors.js';
import { asBytes } from '../../formats/tensors/floats.js';
import type { End } from './bidiagonal.js';

/** Singular triplets as they are kept: vectors in f32, row by row, values descending. */
export interface KeptTriplets {
  /** f64 [count] */
  readonly values: Float64Array;
  /** U^T [count, out] */
  readonly left: Float32Array;
  /** V^T [count, in] */
  readonly right: Float32Array;
}

/** What a file of triplets is of. */
export interface Kept {
  /** XXH64 of the weight's bytes, as they are in its file. */
  readonly hash: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly end: End;
  readonly count: number;
}

/** Least triplets that are kept, where the weight has as many: a sweep over ranks pays once. */
const LEAST_KEPT = 128;

/**
 * How many triplets are found for a rank: so many that other ranks share them. Which ones are kept already must not
 * matter, so that it depends on the rank and the weight alone.
 */
export function keptCount(rank: number, most: number): number {
  return Math.min(most, Math.max(LEAST_KEPT, 2 ** Math.ceil(Math.log2(rank))));
}

/** Raised when the numbers would be other ones: files of before are not looked for. */
const FORM = 2;

export function keptFile({ hash, dtype, shape, end, count }: Kept): string {
  const name = `${hash}-${dtype}-${shape.join('x')}-${end}-${count}.safetensors`;
  return join(cacheFolder(), 'starts', String(FORM), name);
}

/** What is kept in a file; undefined where there is none. */
export async function readKept(path: string): Promise<KeptTriplets | 'damaged' | undefined> {
  if (!existsSync(path)) return undefined;
  try {
    const { tensors, metadata } = openSafetensors(path);
    const [values, left, right] = NAMES.map((name) => bytesOf(tensors.get(name)!));
    const hash = await startHash();
    for (const bytes of [values!, left!, right!]) hash.update(bytes);
    if (hash.digest() !== metadata.xxh64) return 'damaged';
    return {
      values: new Float64Array(values!.buffer),
      left: new Float32Array(left!.buffer),
      right: new Float32Array(right!.buffer),
    };
  } catch {
    return 'damaged';
  }
}

const NAMES = ['values', 'left', 'right'] as const;

function bytesOf(info: TensorInfo): Uint8Array {
  const whole = new Uint8Array(info.byteLength);
  let at = 0;
  for (const { bytes } of tensorChunks(info)) {
    whole.set(bytes, at);
    at += bytes.length;
  }
  return whole;
}

/** Keeps triplets; whoever reads meanwhile finds all of them or none. @returns what went wrong, in a line */
export async function writeKept(
  path: string,
  { values, left, right }: KeptTriplets,
): Promise<string | undefined> {
  const hash = await startHash();
  for (const data of [values, left, right]) hash.update(asBytes(data));
  const count = values.length;
  const matrix = (data: Float32Array): TensorData => ({
    dtype: 'F32',
    shape: [count, data.length / count],
    data,
  });
  const tensors = new Map<string, TensorData>([
    ['values', { dtype: 'F64', shape: [count], data: values }],
    ['left', matrix(left)],
    ['right', matrix(right)],
  ]);
  try {
    mkdirSync(dirname(path), { recursive: true });
    writeSafetensors(path, tensors, { xxh64: hash.digest() });
    return undefined;
  } catch (error) {
    return (
      `${dirname(path)}: expected a folder to keep singular vectors in, found ${systemCode(error)}; ` +
      'the next run finds them again'
    );
  }
}
