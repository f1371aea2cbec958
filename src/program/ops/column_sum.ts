import type { Builder } from '../builder.js';
import { expectShape, type Op } from '../op.js';
import { columns, elementCount, type Value, valueBytes } from '../types.js';

/** y [D] = base + sum_t x_t, x [.., D]: the gradient of a bias. */
export function columnSum(b: Builder, x: Value, base: Value | null): Value {
  const shape = [columns(x)];
  if (base) expectShape(base, shape, 'column_sum');
  const y = b.activation('column_sum', shape);
  b.call('column_sum', [base, x], [y]);
  return y;
}

export const columnSumOp: Op = {
  name: 'column_sum',
  whole: ({ inputs, outputs }) => [inputs[0], outputs[0]],
  cost: ({ inputs: [, x] }) => ({ flops: elementCount(x!.shape), bytes: valueBytes(x!) }),
  inPlace: [[0, 0]],
};
