import type { Builder } from '../builder.js';
import { expectShape, type Op } from '../op.js';
import { columns, elementCount, type Value, valueBytes } from '../types.js';

/**
 * y = x / rms(x) * weight, rms(x) = sqrt(mean(x^2) + eps) over groups of W neighbours (Zhang & Sennrich 2019).
 * x [.., D], weight f32 [W], D a multiple of W: the whole row where W is D, each head where it is the head's width.
 * Also keeps rstd = 1 / rms(x), [elements / W], for the backward pass. `role` is that of y: an output is for the host.
 */
export function rmsnorm(
  b: Builder,
  name: string,
  x: Value,
  weight: Value,
  eps: number,
  role: 'activation' | 'output' = 'activation',
): Value {
  const width = columns(weight);
  if (weight.shape.length !== 1 || columns(x) % width !== 0) {
    const found = `[${weight.shape}] for ${columns(x)} columns`;
    throw new Error(
      `rmsnorm ${name}: expected a weight whose length divides the columns of x, found ${found}`,
    );
  }
  const y = b.value(role, name, x.shape);
  const rstd = b.activation(`${name}.rstd`, [elementCount(x.shape) / width]);
  b.call('rmsnorm', [x, weight], [y, rstd], { eps });
  return y;
}

/** dx = base + rstd (w dy - x rstd^2 mean(w dy x)), group by group. */
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

/** d_weight [W] = base + sum over groups g of dy_g x_g rstd_g. */
export function rmsnormDw(b: Builder, dy: Value, x: Value, rstd: Value, base: Value | null): Value {
  const shape = [elementCount(x.shape) / elementCount(rstd.shape)];
  if (base) expectShape(base, shape, 'rmsnorm_dw');
  const dw = b.activation('d_norm_weight', shape);
  b.call('rmsnorm_dw', [base, dy, x, rstd], [dw]);
  return dw;
}

export const rmsnormOp: Op = {
  name: 'rmsnorm',
  whole: ({ inputs, outputs }) => [inputs[1], outputs[1]],
  gradient: ({ inputs: [x, weight], outputs: [y, rstd] }, gradients) => {
    const dy = gradients.get(y!);
    if (!dy) return;
    const b = gradients.builder;
    if (gradients.needed(weight)) {
      gradients.set(weight, rmsnormDw(b, dy, x!, rstd!, gradients.get(weight)));
    }
    if (gradients.needed(x)) gradients.set(x, rmsnormDx(b, dy, x, weight!, rstd!, gradients.get(x)));
  },
  cost: ({ outputs: [y] }) => ({ flops: 4 * elementCount(y!.shape), bytes: 2 * valueBytes(y!) }),
};

export const rmsnormDxOp: Op = {
  name: 'rmsnorm_dx',
  whole: ({ inputs, outputs }) => [inputs[3], inputs[4], outputs[0]],
  cost: ({ inputs: [base], outputs: [dx] }) => ({
    flops: 8 * elementCount(dx!.shape),
    bytes: (base ? 4 : 3) * valueBytes(dx!),
  }),
  inPlace: [
    [0, 0],
    [1, 0],
  ],
};

export const rmsnormDwOp: Op = {
  name: 'rmsnorm_dw',
  whole: ({ inputs, outputs }) => [inputs[0], inputs[3], outputs[0]],
  cost: ({ inputs: [, , x] }) => ({ flops: 3 * elementCount(x!.shape), bytes: 2 * valueBytes(x!) }),
  inPlace: [[0, 0]],
};
