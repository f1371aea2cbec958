import { DTYPE_BYTES, lengthOf, type TensorType } from '../safetensors/header.js';

/**
 * A tensor that can be read in order and by range, wherever it is from: a file, the Hub, a session, memory, or a rule
 * over other sources. Nothing of it is in memory but the chunk at hand. Sources are plain objects: one with another
 * name is `{ ...source, name }`.
 */
export interface TensorSource extends TensorType {
  /** Where its numbers are from, for errors: a path or an address. */
  readonly origin: string;
  /**
   * Elements `from` to `to`, row-major, in order: chunks of CHUNK_ELEMENTS, the last one shorter. Defaults: all of them.
   * @throws RangeError when there are no such elements, and whatever reading where it is from throws
   */
  read(from?: number, to?: number): AsyncIterable<TensorChunk>;
}

export interface TensorChunk {
  /** The place of its first element in the tensor. */
  readonly first: number;
  /** Little-endian elements, aligned to their size in `bytes.buffer`. Valid until the next chunk is asked for. */
  readonly bytes: Uint8Array;
}

/** 4 MiB of float32. All sources cut a range alike, so that rules can read several side by side. */
export const CHUNK_ELEMENTS = 2 ** 20;

/** How a range of a tensor is cut into chunks. */
export function chunkRanges(type: TensorType, from: number, to: number): { first: number; count: number }[] {
  const length = lengthOf(type);
  if (!(Number.isInteger(from) && Number.isInteger(to) && 0 <= from && from <= to && to <= length)) {
    throw new RangeError(
      `tensor ${type.name}: expected a range of its ${length} elements, found ${from} to ${to}`,
    );
  }
  const ranges: { first: number; count: number }[] = [];
  for (let first = from; first < to; first += CHUNK_ELEMENTS) {
    ranges.push({ first, count: Math.min(CHUNK_ELEMENTS, to - first) });
  }
  return ranges;
}

/** A tensor in memory. `data` holds exactly its elements; it may change until it is read. */
export function memorySource(
  { name, dtype, shape }: TensorType,
  data: ArrayBufferView,
  origin = 'memory',
): TensorSource {
  const type = { name, dtype, shape };
  const width = DTYPE_BYTES[dtype];
  if (data.byteLength !== lengthOf(type) * width) {
    throw new RangeError(
      `tensor ${name}: expected ${lengthOf(type)} elements of ${dtype}, found ${data.byteLength} bytes`,
    );
  }
  return {
    ...type,
    origin,
    async *read(from = 0, to = lengthOf(type)) {
      for (const { first, count } of chunkRanges(type, from, to)) {
        const bytes = new Uint8Array(data.buffer, data.byteOffset + first * width, count * width);
        yield { first, bytes };
      }
    },
  };
}
