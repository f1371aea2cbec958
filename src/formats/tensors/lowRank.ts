import { asBytes, readFloats } from './floats.js';
import type { TensorSource } from './source.js';

/** Factors of a low-rank change of a matrix [out, in], row-major in memory: they are small. */
export interface LowRank {
  /** B: [out, rank] */
  readonly b: Float32Array;
  /** A: [rank, in] */
  readonly a: Float32Array;
  readonly rank: number;
  /** s */
  readonly scale: number;
}

/**
 * W + s B A, F32: what a LoRA adapter makes of a weight (Hu et al. 2021), and with a negative s what is left of it.
 * Each element of B A is added up in f64 in the order of the rank, multiplied by s, added to W's, and rounded once.
 * @throws RangeError when W is no matrix or the factors are not of its shape
 */
export function lowRankSource(weight: TensorSource, { a, b, rank, scale }: LowRank): TensorSource {
  const [rows = 0, columns = 0] = weight.shape;
  if (weight.shape.length !== 2 || b.length !== rows * rank || a.length !== rank * columns) {
    throw new RangeError(
      `tensor ${weight.name}: expected a matrix, B [${rows}, ${rank}] and A [${rank}, ${columns}], ` +
        `found [${weight.shape}] with ${b.length} and ${a.length} elements`,
    );
  }
  const product = new Float64Array(columns);
  /** Fills `product` with elements `from` to `to` of a row of B A. */
  const multiply = (row: number, from: number, to: number) => {
    product.fill(0, from, to);
    for (let k = 0; k < rank; k++) {
      const factor = b[row * rank + k]!;
      for (let j = from; j < to; j++) product[j]! += factor * a[k * columns + j]!;
    }
  };
  return {
    ...weight,
    dtype: 'F32',
    async *read(from, to) {
      for await (const { first, data } of readFloats(weight, from, to)) {
        const changed = new Float32Array(data.length);
        for (let at = first; at < first + data.length; ) {
          const row = Math.floor(at / columns);
          const start = at - row * columns;
          const end = Math.min(columns, start + first + data.length - at);
          multiply(row, start, end);
          for (let j = start; j < end; j++, at++) {
            changed[at - first] = data[at - first]! + scale * product[j]!;
          }
        }
        yield { first, bytes: asBytes(changed) };
      }
    },
  };
}
