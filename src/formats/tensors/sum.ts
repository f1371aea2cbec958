import { asBytes, readFloats } from './floats.js';
import type { TensorSource } from './source.js';

/**
 * The sum of tensors of one shape, F32. Each element is added up in f64, in the order of the sources, and rounded once.
 * It has the name of the first one.
 * @throws RangeError when there is none, or their shapes differ
 */
export function sumSource(sources: readonly TensorSource[]): TensorSource {
  const [head, ...others] = sources;
  if (!head) throw new RangeError('a sum: expected tensors, found none');
  const other = others.find(({ shape }) => String(shape) !== String(head.shape));
  if (other) {
    throw new RangeError(
      `a sum: expected tensors of [${head.shape}], found ${other.name} of [${other.shape}]`,
    );
  }
  return {
    ...head,
    dtype: 'F32',
    async *read(from, to) {
      for await (const { first, data } of readFloats(head, from, to)) {
        const sums = Float64Array.from(data);
        for (const source of others) await addTo(sums, source, first);
        yield { first, bytes: asBytes(Float32Array.from(sums)) };
      }
    },
  };
}

async function addTo(sums: Float64Array, source: TensorSource, from: number): Promise<void> {
  for await (const { first, data } of readFloats(source, from, from + sums.length)) {
    for (let i = 0; i < data.length; i++) sums[first - from + i]! += data[i]!;
  }
}
