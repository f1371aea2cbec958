import { lengthOf } from './safetensors/header.js';
import { asBytes, readWhole } from './tensors/floats.js';
import { memorySource, type TensorSource } from './tensors/source.js';

/*
 * An adapter that began with factors A0 [r, in], B0 [out, r], which are taken away from the base model's weight, is a plain
 * one of rank 2 r: B A - B0 A0 = [B, -B0] [A; A0]. All four are in it, bit for bit. Factors are small: each is in memory
 * as a whole while it is read.
 */

const isA = (name: string): boolean => name.endsWith('.lora_A.weight');

/** Tensors of the plain adapter, F32, by the names of A and B; `start` has A0 and B0 by the same names. */
export function withStart(trained: readonly TensorSource[], start: readonly TensorSource[]): TensorSource[] {
  const starts = new Map(start.map((source) => [source.name, source]));
  return trained.map((factor) => {
    const first = starts.get(factor.name)!;
    const [rows = 0, columns = 0] = factor.shape;
    if (isA(factor.name)) {
      return madeOf(factor, [2 * rows, columns], async () => {
        const joined = new Float32Array(2 * rows * columns);
        joined.set(await readWhole(factor));
        joined.set(await readWhole(first), rows * columns);
        return joined;
      });
    }
    return madeOf(factor, [rows, 2 * columns], async () => {
      const [b, b0] = [await readWhole(factor), await readWhole(first)];
      const joined = new Float32Array(2 * b.length);
      for (let i = 0; i < rows; i++) {
        const [from, to] = [i * columns, (i + 1) * columns];
        joined.set(b.subarray(from, to), 2 * from);
        joined.set(b0.subarray(from, to).map(negative), 2 * from + columns);
      }
      return joined;
    });
  });
}

/** The two of which `withStart` made it. */
export function splitStart(joined: readonly TensorSource[]): {
  readonly trained: TensorSource[];
  readonly start: TensorSource[];
} {
  const half = (source: TensorSource, index: 0 | 1): TensorSource => {
    const [rows = 0, columns = 0] = source.shape;
    if (isA(source.name)) {
      const count = lengthOf(source) / 2;
      return madeOf(source, [rows / 2, columns], async () =>
        (await readWhole(source)).slice(index * count, (index + 1) * count),
      );
    }
    const width = columns / 2;
    return madeOf(source, [rows, width], async () => {
      const data = await readWhole(source);
      const part = new Float32Array(rows * width);
      for (let i = 0; i < rows; i++) {
        const from = i * columns + index * width;
        part.set(data.subarray(from, from + width), i * width);
      }
      return index === 0 ? part : part.map(negative);
    });
  };
  return { trained: joined.map((source) => half(source, 0)), start: joined.map((source) => half(source, 1)) };
}

const negative = (x: number): number => -x;

/** A tensor of another shape, made when it is read. */
function madeOf(
  source: TensorSource,
  shape: readonly number[],
  make: () => Promise<Float32Array>,
): TensorSource {
  const made = { ...source, dtype: 'F32' as const, shape };
  return {
    ...made,
    async *read(from, to) {
      yield* memorySource(made, asBytes(await make())).read(from, to);
    },
  };
}
