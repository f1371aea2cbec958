import type { Builder } from '../builder.js';
import { expectShape, type Op } from '../op.js';
import { elementCount, rows, type Value, valueBytes } from '../types.js';

/**
 * Rotates each head of x by its token's position, rotate-half layout (Su et al. 2021): with h = headDim / 2,
 * y_j = x_j cos_j - d x_{j+h} sin_j, y_{j+h} = x_{j+h} cos_j + d x_j sin_j; direction d = 1 forward, -1 backward.
 * x [T, heads * headDim], positions u32 [T], table f32 [maxPositions, headDim]: h cosines, then h sines.
 */
export function rope(b: Builder, x: Value, positions: Value, table: Value, direction: 1 | -1 = 1): Value {
  expectShape(positions, [rows(x)], 'rope');
  const y = b.activation('rope', x.shape);
  b.call('rope', [x, positions, table], [y], { direction });
  return y;
}

export const ropeOp: Op = {
  name: 'rope',
  whole: ({ inputs }) => [inputs[2]],
  gradient: ({ inputs: [x, positions, table], outputs: [y], attributes }, gradients) => {
    const dy = gradients.get(y!);
    if (!dy || !gradients.needed(x)) return;
    gradients.add(x, rope(gradients.builder, dy, positions!, table!, attributes.direction === 1 ? -1 : 1));
  },
  cost: ({ outputs: [y] }) => ({ flops: 3 * elementCount(y!.shape), bytes: 2 * valueBytes(y!) }),
  inPlace: [[0, 0]],
};
