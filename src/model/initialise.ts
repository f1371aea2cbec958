import { randomUint32 } from '../data/random.js';
import { elementCount } from '../program/types.js';

/**
 * Fresh adapter factors: A = U(-1/sqrt(in), 1/sqrt(in)) (kaiming_uniform with a = sqrt 5, PEFT's default), B = 0.
 * A function of the seed and the tensor's place alone.
 */
export function randomLora(
  shapes: ReadonlyMap<string, readonly number[]>,
  seed: number,
): Map<string, { shape: readonly number[]; data: Float32Array }> {
  return new Map(
    [...shapes].map(([name, shape], stream) => {
      const bound = 1 / Math.sqrt(shape[1]!);
      const data = new Float32Array(elementCount(shape));
      if (name.endsWith('.lora_A.weight')) {
        for (let i = 0; i < data.length; i++) {
          data[i] = bound * ((2 * (randomUint32(seed, stream, i) + 0.5)) / 2 ** 32 - 1);
        }
      }
      return [name, { shape, data }];
    }),
  );
}
