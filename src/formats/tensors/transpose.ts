import { DTYPE_BYTES, lengthOf, type SafetensorsDtype } from '../safetensors/header.js';
import { isFloat, notFloat } from './floats.js';
import { chunkRanges, type TensorSource } from './source.js';

/**
 * A matrix [rows, columns] as [columns, rows], bit for bit. Each chunk takes a pass over the source, up to the last
 * row that it has something of: bounded memory at the price of one pass for every 2^20 elements.
 * @throws RangeError when it is no matrix, InputError when its type is not F32, F16 or BF16
 */
export function transposeSource(source: TensorSource): TensorSource {
  const { name, dtype, shape } = source;
  const [rows = 0, columns = 0] = shape;
  if (shape.length !== 2) throw new RangeError(`tensor ${name}: expected a matrix, found [${shape}]`);
  if (!isFloat(dtype)) throw notFloat(source);
  const transposed = { ...source, shape: [columns, rows] };
  return {
    ...transposed,
    async *read(from = 0, to = lengthOf(source)) {
      for (const { first, count } of chunkRanges(transposed, from, to)) {
        const bytes = new Uint8Array(count * DTYPE_BYTES[dtype]);
        const target = wordsOf(dtype, bytes);
        for await (const chunk of source.read())
          gather(target, first, wordsOf(dtype, chunk.bytes), chunk.first, shape);
        yield { first, bytes };
      }
    },
  };
}

/**
 * Fills in what of the transpose's elements, from `first` on, is in a chunk of a matrix.
 * Element (i, j) lies at i * columns + j of the matrix and at j * rows + i of its transpose.
 */
function gather(
  target: Words,
  first: number,
  chunk: Words,
  chunkFirst: number,
  [rows = 0, columns = 0]: readonly number[],
): void {
  const end = first + target.length;
  const lastRow = Math.ceil((chunkFirst + chunk.length) / columns);
  for (let i = Math.floor(chunkFirst / columns); i < lastRow; i++) {
    const start = i * columns - chunkFirst;
    const from = Math.max(Math.ceil((first - i) / rows), -start, 0);
    const to = Math.min(Math.ceil((end - i) / rows), chunk.length - start, columns);
    for (let j = from; j < to; j++) target[j * rows + i - first] = chunk[start + j]!;
  }
}

type Words = Uint16Array | Uint32Array;

const wordsOf = (dtype: SafetensorsDtype, { buffer, byteOffset, byteLength }: Uint8Array): Words =>
  dtype === 'F32'
    ? new Uint32Array(buffer, byteOffset, byteLength / 4)
    : new Uint16Array(buffer, byteOffset, byteLength / 2);
