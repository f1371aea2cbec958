import { randomStream } from '../data/random.js';
import { elementCount } from '../program/types.js';

/** Tensors by the names of adapter or checkpoint files. */
export type InitialTensors = Map<string, { shape: readonly number[]; data: Float32Array }>;

/** Standard deviation of fresh matrices: `initializer_range`, whose default all families share. */
const STANDARD_DEVIATION = 0.02;

/**
 * Fresh adapter factors: A = U(-1/sqrt(in), 1/sqrt(in)) (kaiming_uniform with a = sqrt 5, PEFT's default), B = 0.
 * A function of the seed and the tensor's place alone.
 */
export function randomLora(shapes: ReadonlyMap<string, readonly number[]>, seed: number): InitialTensors {
  return new Map(
    [...shapes].map(([name, shape], stream) => {
      const bound = 1 / Math.sqrt(shape[1]!);
      const data = new Float32Array(elementCount(shape));
      if (name.endsWith('.lora_A.weight')) {
        const random = randomStream(seed, stream);
        for (let i = 0; i < data.length; i++) data[i] = bound * ((2 * (random(i) + 0.5)) / 2 ** 32 - 1);
      }
      return [name, { shape, data }];
    }),
  );
}

/** A fresh model: matrices N(0, 0.02^2), norms 1, biases 0, as transformers initialises its families. */
export function randomWeights(shapes: ReadonlyMap<string, readonly number[]>, seed: number): InitialTensors {
  return new Map(
    [...shapes].map(([name, shape], stream) => {
      const data = new Float32Array(elementCount(shape));
      if (shape.length > 1) fillNormal(data, seed, stream);
      else if (name.endsWith('norm.weight')) data.fill(1);
      return [name, { shape, data }];
    }),
  );
}

/** Box and Muller's pairs: radius from one uniform number, angle from another. */
function fillNormal(data: Float32Array, seed: number, stream: number): void {
  const random = randomStream(seed, stream);
  const uniform = (i: number) => (random(i) + 0.5) / 2 ** 32;
  for (let i = 0; i < data.length; i += 2) {
    const radius = STANDARD_DEVIATION * Math.sqrt(-2 * Math.log(uniform(i)));
    const angle = 2 * Math.PI * uniform(i + 1);
    data[i] = radius * Math.cos(angle);
    if (i + 1 < data.length) data[i + 1] = radius * Math.sin(angle);
  }
}
