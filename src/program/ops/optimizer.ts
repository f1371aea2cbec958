import type { Builder } from '../builder.js';
import type { Op } from '../op.js';
import { elementCount, type Value, valueBytes } from '../types.js';

/** total += gradient, and squares[index] = sum(gradient^2): a micro-batch's gradient joins that of the batch. */
export function accumulate(b: Builder, total: Value, gradient: Value, squares: Value, index: number): void {
  b.call('accumulate', [total, gradient], [total, squares], { index });
}

export const accumulateOp: Op = {
  name: 'accumulate',
  whole: ({ inputs }) => [inputs[1]],
  cost: ({ inputs: [total] }) => ({ flops: 3 * elementCount(total!.shape), bytes: 3 * valueBytes(total!) }),
};

/** total += part, and part = 0: a partial sum of gradients moves to where it is added or kept. */
export function fold(b: Builder, total: Value, part: Value): void {
  b.call('fold', [total, part], [total, part]);
}

export const foldOp: Op = {
  name: 'fold',
  cost: ({ inputs: [total] }) => ({ flops: elementCount(total!.shape), bytes: 4 * valueBytes(total!) }),
};

/** squares[index] = sum(x^2), summed in a fixed order, in f64 or in pairs. */
export function sumOfSquares(b: Builder, x: Value, squares: Value, index: number): void {
  b.call('sum_of_squares', [x], [squares], { index });
}

export const sumOfSquaresOp: Op = {
  name: 'sum_of_squares',
  whole: ({ inputs }) => [inputs[0]],
  cost: ({ inputs: [x] }) => ({ flops: 2 * elementCount(x!.shape), bytes: valueBytes(x!) }),
};

export interface AdamWOptions {
  readonly beta1: number;
  readonly beta2: number;
  readonly eps: number;
  readonly weightDecay: number;
}

/**
 * f32 [1] each; `step` counts from 1; `scale` is 1 / (valid labels of the batch times the loss scale); `clip` is
 * infinite for none.
 */
export interface AdamWScalars {
  readonly step: Value;
  readonly learningRate: Value;
  readonly scale: Value;
  readonly clip: Value;
}

/**
 * One AdamW step (Loshchilov & Hutter 2019, as torch.optim.AdamW) on g = gradient * scale * c, where
 * c = min(1, clip / (norm + 1e-6)) and norm = scale * sqrt(sum(squares)): clip_grad_norm_ over all parameters.
 * Then the gradient is set to 0 for the next batch. Where sum(squares) is NaN or infinite, as after an overflow of scaled
 * gradients in f16, the step is skipped: parameter, m and v stay as they are, and only the gradient is set to 0.
 */
export function adamw(
  b: Builder,
  target: { parameter: Value; gradient: Value; m: Value; v: Value },
  squares: Value,
  scalars: AdamWScalars,
  options: AdamWOptions,
): void {
  const { parameter, gradient, m, v } = target;
  const { step, learningRate, scale, clip } = scalars;
  const inputs = [parameter, gradient, m, v, squares, step, learningRate, scale, clip];
  b.call('adamw', inputs, [parameter, gradient, m, v], { ...options });
}

export const adamwOp: Op = {
  name: 'adamw',
  cost: ({ inputs: [parameter] }) => ({
    flops: 12 * elementCount(parameter!.shape),
    bytes: 8 * valueBytes(parameter!),
  }),
};
