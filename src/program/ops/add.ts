import type { Builder } from '../builder.js';
import { expectShape, type Op } from '../op.js';
import { elementCount, type Value, valueBytes } from '../types.js';

/** y = a + b, elementwise. */
export function add(b: Builder, x: Value, z: Value): Value {
  expectShape(z, x.shape, 'add');
  const y = b.activation('sum', x.shape);
  b.call('add', [x, z], [y]);
  return y;
}

export const addOp: Op = {
  name: 'add',
  whole: ({ outputs }) => [outputs[0]],
  gradient: ({ inputs, outputs }, gradients) => {
    const dy = gradients.get(outputs[0]!);
    if (!dy) return;
    for (const input of inputs) if (gradients.needed(input)) gradients.add(input, dy);
  },
  cost: ({ outputs: [y] }) => ({ flops: elementCount(y!.shape), bytes: 3 * valueBytes(y!) }),
  inPlace: [
    [0, 0],
    [1, 0],
  ],
};
