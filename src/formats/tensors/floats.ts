import { InputError } from '../../base/errors.js';
import { bfloat16ToFloat32, float16ToFloat32, float32ToBfloat16, float32ToFloat16 } from '../float16.js';
import { lengthOf, type SafetensorsDtype } from '../safetensors/header.js';
import { CHUNK_ELEMENTS, type TensorSource } from './source.js';

/** The types that weights have. */
export type FloatDtype = 'F32' | 'F16' | 'BF16';

export const isFloat = (dtype: SafetensorsDtype): dtype is FloatDtype =>
  dtype === 'F32' || dtype === 'F16' || dtype === 'BF16';

export const notFloat = ({ name, dtype, origin }: Pick<TensorSource, 'name' | 'dtype' | 'origin'>) =>
  new InputError(`${origin}: tensor ${name}: expected F32, F16 or BF16, found ${dtype}; convert it`);

/**
 * Elements as float32, exactly: a view of those that are, otherwise a copy. NaNs keep their payloads.
 * @param target where a copy goes, at least as many elements (default: memory of its own)
 */
export function toFloat32(dtype: FloatDtype, bytes: Uint8Array, target?: Float32Array): Float32Array {
  const { buffer, byteOffset, byteLength } = bytes;
  if (dtype === 'F32') return new Float32Array(buffer, byteOffset, byteLength / 4);
  const halves = new Uint16Array(buffer, byteOffset, byteLength / 2);
  const widened = target?.subarray(0, halves.length) ?? new Float32Array(halves.length);
  if (dtype === 'F16') float16ToFloat32(halves, widened);
  else bfloat16ToFloat32(halves, widened);
  return widened;
}

/** Float32 as elements of a 16-bit type, to nearest, ties to even. `target` has as many elements, or more. */
export function toHalves(dtype: 'F16' | 'BF16', data: Float32Array, target: Uint16Array): Uint16Array {
  const halves = target.subarray(0, data.length);
  if (dtype === 'F16') float32ToFloat16(data, halves);
  else float32ToBfloat16(data, halves);
  return halves;
}

export const asBytes = ({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength);

/** A chunk as float32; valid until the next one is asked for. */
export interface FloatChunk {
  readonly first: number;
  readonly data: Float32Array;
}

/** Reads elements of a source as float32. @throws InputError when they are of no such type */
export async function* readFloats(
  source: TensorSource,
  from = 0,
  to = lengthOf(source),
): AsyncGenerator<FloatChunk> {
  const { dtype } = source;
  if (!isFloat(dtype)) throw notFloat(source);
  const widened = dtype === 'F32' ? undefined : new Float32Array(Math.min(CHUNK_ELEMENTS, to - from));
  for await (const { first, bytes } of source.read(from, to)) {
    yield { first, data: toFloat32(dtype, bytes, widened) };
  }
}

/** All elements of a source, which is small. Throws as `readFloats` does. */
export async function readWhole(source: TensorSource): Promise<Float32Array> {
  const data = new Float32Array(lengthOf(source));
  for await (const { first, data: chunk } of readFloats(source)) data.set(chunk, first);
  return data;
}
