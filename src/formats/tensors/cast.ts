import { lengthOf } from '../safetensors/header.js';
import { asBytes, type FloatDtype, readFloats, toHalves } from './floats.js';
import { CHUNK_ELEMENTS, type TensorSource } from './source.js';

/**
 * The tensor in another type. Widening is exact; narrowing rounds once, to nearest, ties to even, as PyTorch does it:
 * what is beyond the largest number becomes an infinity, a NaN stays one. Source of a type it has already: itself.
 * Reading throws an InputError when it is of none of the three types.
 */
export function castSource(source: TensorSource, dtype: FloatDtype): TensorSource {
  if (source.dtype === dtype) return source;
  return {
    ...source,
    dtype,
    async *read(from = 0, to = lengthOf(source)) {
      const halves = new Uint16Array(dtype === 'F32' ? 0 : Math.min(CHUNK_ELEMENTS, to - from));
      for await (const { first, data } of readFloats(source, from, to)) {
        yield { first, bytes: asBytes(dtype === 'F32' ? data : toHalves(dtype, data, halves)) };
      }
    },
  };
}
