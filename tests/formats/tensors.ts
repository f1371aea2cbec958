import { lengthOf, type TensorData, type TensorType } from '#src/formats/safetensors.js';
import { toFloat32 } from '#src/formats/tensors/floats.js';
import { memorySource, type TensorSource } from '#src/formats/tensors/source.js';

/** Sources for tests, and what is read from them. */

export const floatSource = (name: string, shape: readonly number[], data: Float32Array): TensorSource =>
  memorySource({ name, dtype: 'F32', shape }, data);

export const sourcesIn = (tensors: ReadonlyMap<string, TensorData>): TensorSource[] =>
  [...tensors].map(([name, { data, ...type }]) => memorySource({ name, ...type }, data));

/** All bytes of a range. */
export async function readBytes(source: TensorSource, from?: number, to?: number): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const { bytes } of source.read(from, to)) parts.push(Buffer.from(bytes));
  return Buffer.concat(parts);
}

/** A range of a float tensor. */
export async function readAll(source: TensorSource, from = 0, to = lengthOf(source)): Promise<Float32Array> {
  const bytes = Uint8Array.from(await readBytes(source, from, to));
  return toFloat32(source.dtype as 'F32', bytes);
}

/** Numbers that depend on their place, of both signs and of many sizes, exact in bfloat16. */
export function numbers({ shape }: Pick<TensorType, 'shape'>, seed = 0): Float32Array {
  const data = new Float32Array(shape.reduce((product, size) => product * size, 1));
  for (let i = 0; i < data.length; i++) {
    const mixed = Math.imul(i + 1 + seed, 0x9e3779b1) >>> 8;
    data[i] = ((mixed & 255) - 127.5) * 2 ** (((mixed >> 8) & 7) - 12);
  }
  return data;
}

/** Float tensors in memory, such as those of an adapter. */
export const floatSources = (
  tensors: ReadonlyMap<string, { shape: readonly number[]; data: Float32Array }>,
): TensorSource[] => [...tensors].map(([name, { shape, data }]) => floatSource(name, shape, data));
