import type { Builder } from '../builder.js';
import { expectShape, type Op } from '../op.js';
import { columns, elementCount, rows, type Value, valueBytes } from '../types.js';

/**
 * y = x / rms(x) * weight, rms(x) = sqrt(mean(x^2) + eps) over the last dimension (Zhang & Sennrich 2019).
 * x [.., D], weight f32 [D]; also keeps rstd = 1 / rms(x), [rows], for the backward pass.
 */
export function rmsnorm(b: Builder, name: string, x: Value, weight: Value, eps: number): Value {
  expectShape(weight, [columns(x)], 'rmsnorm');
  const y = b.activation(name, x.shape);
  const rstd = b.activation(`${name}.rstd`, [rows(x)]);
  b.call('rmsnorm', [x, weight], [y, rstd], { eps });
  return y;
}

/** dx = base + rstd (w dy - x rstd^2 mean(w dy x)), row by row. */
export function rmsnormDx(
  b: Builder,
  dy: Value,
  x: Value,
  weight: Value,
  rstd: Value,
  base: Value | null,
): Value {
  const dx = b.activation('d_norm', x.shape);
  b.call('rmsnorm_dx', [base, dy, x, weight, rstd], [dx]);
  return dx;
}

export const rmsnormOp: Op = {
  name: 'rmsnorm',
  gradient: ({ inputs: [x, weight], outputs: [y, rstd] }, gradients) => {
    const dy = gradients.get(y!);
    if (!dy || !gradients.needed(x)) return;
    gradients.set(x, rmsnormDx(gradients.builder, dy, x, weight!, rstd!, gradients.get(x)));
  },
  cost: ({ outputs: [y] }) => ({ flops: 4 * elementCount(y!.shape), bytes: 2 * valueBytes(y!) }),
};

export const rmsnormDxOp: Op = {
  name: 'rmsnorm_dx',
  cost: ({ inputs: [base], outputs: [dx] }) => ({
    flops: 8 * elementCount(dx!.shape),
    bytes: (base ? 4 : 3) * valueBytes(dx!),
  }),
  inPlace: [
    [0, 0],
    [1, 0],
  ],
};
