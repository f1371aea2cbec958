import { InputError } from '../../base/errors.js';
import { type FloatDtype, isFloat, toFloat32 } from './floats.js';
import type { TensorSource } from './source.js';

/** A number that is none, where it was found. */
export interface NotFinite {
  /** Element of the chunk or of the tensor. */
  readonly index: number;
  /** NaN or an infinity. */
  readonly value: number;
}

/**
 * By type, in words of 4 bytes: bits of the exponents, their lowest bits, and the bits above them. An exponent that is
 * all ones, as those of NaNs and infinities are, carries into the bit above when its lowest bit is added.
 */
const BITS: Record<
  FloatDtype,
  { readonly exponent: number; readonly lowest: number; readonly above: number }
> = {
  F32: { exponent: 0x7f800000, lowest: 0x00800000, above: 0x80000000 | 0 },
  BF16: { exponent: 0x7f807f80, lowest: 0x00800080, above: 0x80008000 | 0 },
  F16: { exponent: 0x7c007c00, lowest: 0x04000400, above: 0x80008000 | 0 },
};

/** The first NaN or infinity of a chunk; undefined when there is none. */
export function findNotFinite(dtype: FloatDtype, bytes: Uint8Array): NotFinite | undefined {
  const { exponent, lowest, above } = BITS[dtype];
  const { buffer, byteOffset, byteLength } = wordAligned(bytes);
  const words = new Int32Array(buffer, byteOffset, byteLength >> 2);
  let found = 0;
  for (let i = 0; i < words.length; i++) found |= ((words[i]! & exponent) + lowest) & above;
  const tail = bytes.subarray(byteLength & ~3);
  if (found === 0 && toFloat32(dtype, tail).every(Number.isFinite)) return undefined;
  const numbers = toFloat32(dtype, bytes);
  const index = numbers.findIndex((value) => !Number.isFinite(value));
  return { index, value: numbers[index]! };
}

/** The same bytes where words of 4 can be read. */
const wordAligned = (bytes: Uint8Array): Uint8Array =>
  bytes.byteOffset % 4 === 0 ? bytes : new Uint8Array(bytes);

/**
 * The tensor itself; reading it throws when a number in it is none.
 * @param explained makes the error (default: an InputError that names file, tensor and place)
 */
export function finiteSource(
  source: TensorSource,
  explained: (found: NotFinite) => Error = (found) => notFinite(source, found),
): TensorSource {
  const { dtype } = source;
  if (!isFloat(dtype)) return source;
  return {
    ...source,
    async *read(from, to) {
      for await (const chunk of source.read(from, to)) {
        const found = findNotFinite(dtype, chunk.bytes);
        if (found) throw explained({ ...found, index: chunk.first + found.index });
        yield chunk;
      }
    },
  };
}

/** @param found its index is that in the tensor */
export function notFinite(
  { name, shape, origin }: Pick<TensorSource, 'name' | 'shape' | 'origin'>,
  { index, value }: NotFinite,
): InputError {
  return new InputError(
    `${origin}: tensor ${name}: expected finite numbers, found ${value} at [${placeOf(index, shape).join(', ')}]; ` +
      'fetch or make the file again',
  );
}

/** Where an element of a tensor is, by axis. */
export function placeOf(index: number, shape: readonly number[]): number[] {
  const place: number[] = [];
  let rest = index;
  for (const size of shape.toReversed()) {
    place.unshift(rest % size);
    rest = Math.floor(rest / size);
  }
  return place;
}
