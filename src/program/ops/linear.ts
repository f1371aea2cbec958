import type { Builder } from '../builder.js';
import { expectShape, type Gradients, type Op } from '../op.js';
import { type Call, type Cost, columns, rows, type Value, valueBytes } from '../types.js';
import { columnSum } from './column_sum.js';

/** One product of a sum of products: x [.., in], weight [out, in]. */
export interface LinearTerm {
  readonly x: Value;
  readonly weight: Value;
  readonly scale?: number;
}

/**
 * y = base + bias + sum_i scale_i x_i W_i^T, for one or two terms. LoRA is the second term: x_2 = x A^T [.., r],
 * W_2 = B, scale_2 = s. Inputs: base?, x_1, W_1, x_2?, W_2?, bias?. Weights may be f32, bf16 or f16, the bias is
 * f32 [out]; all arithmetic is f32.
 */
export function linear(
  b: Builder,
  name: string,
  terms: readonly LinearTerm[],
  base: Value | null = null,
  bias: Value | null = null,
): Value {
  const [first, second] = terms;
  if (!first || terms.length > 2)
    throw new Error(`linear ${name}: expected 1 or 2 terms, found ${terms.length}`);
  const out = first.weight.shape[0]!;
  const shape = [...first.x.shape.slice(0, -1), out];
  for (const { x, weight } of terms) {
    expectShape(weight, [out, columns(x)], 'linear');
    if (rows(x) !== rows(first.x)) throw new Error(`linear ${name}: ${x.name} has ${rows(x)} rows`);
  }
  if (base) expectShape(base, shape, 'linear');
  if (bias) expectShape(bias, [out], 'linear');
  const y = b.activation(name, shape);
  const scales = { scale: first.scale ?? 1, scale2: second?.scale ?? 1 };
  const factors = [first.x, first.weight, second?.x ?? null, second?.weight ?? null];
  b.call('linear', [base, ...factors, bias], [y], scales);
  return y;
}

/** dx = base + sum_i scale_i dy_i W_i, W_i [out_i, in]: the gradient of linear in x, for one or two terms. */
export function linearDx(b: Builder, name: string, terms: readonly LinearTerm[], base: Value | null): Value {
  const [first, second] = terms;
  if (!first || terms.length > 2)
    throw new Error(`linear_dx ${name}: expected 1 or 2 terms, found ${terms.length}`);
  const shape = [...first.x.shape.slice(0, -1), columns(first.weight)];
  for (const { x, weight } of terms) expectShape(weight, [columns(x), columns(first.weight)], 'linear_dx');
  if (base) expectShape(base, shape, 'linear_dx');
  const dx = b.activation(name, shape);
  const scales = { scale: first.scale ?? 1, scale2: second?.scale ?? 1 };
  b.call('linear_dx', [base, first.x, first.weight, second?.x ?? null, second?.weight ?? null], [dx], scales);
  return dx;
}

/** dW [out, in] = base + scale dy^T x, dy [T, out], x [T, in]: the gradient of linear in a trained weight. */
export function linearDw(b: Builder, dy: Value, x: Value, scale: number, base: Value | null): Value {
  if (rows(dy) !== rows(x)) throw new Error(`linear_dw: ${dy.name} and ${x.name} differ in rows`);
  const dw = b.activation('dw', [columns(dy), columns(x)]);
  b.call('linear_dw', [base, dy, x], [dw], { scale });
  return dw;
}

function linearGradient(call: Call, gradients: Gradients): void {
  const [base, x1, weight1, x2, weight2, bias] = call.inputs;
  const dy = gradients.get(call.outputs[0]!);
  if (!dy) return;
  if (gradients.needed(base)) gradients.add(base, dy);
  if (gradients.needed(bias)) {
    gradients.set(bias, columnSum(gradients.builder, dy, gradients.get(bias)));
  }
  const terms = [
    [x1, weight1, call.attributes.scale!],
    [x2, weight2, call.attributes.scale2!],
  ] as const;
  for (const [x, weight, scale] of terms) {
    if (!x || !weight) continue;
    if (gradients.needed(weight)) {
      gradients.set(weight, linearDw(gradients.builder, dy, x, scale, gradients.get(weight)));
    }
    if (gradients.needed(x)) gradients.addProduct(x, { x: dy, weight, scale });
  }
}

function productCost(call: Call): Cost {
  let flops = 0;
  let bytes = valueBytes(call.outputs[0]!);
  const [base, x1, weight1, x2, weight2] = call.inputs;
  if (base) bytes += valueBytes(base);
  for (const [x, weight] of [
    [x1, weight1],
    [x2, weight2],
  ]) {
    if (!x || !weight) continue;
    flops += 2 * rows(x) * weight.shape[0]! * weight.shape[1]!;
    bytes += valueBytes(x) + valueBytes(weight);
  }
  return { flops, bytes };
}

export const linearOp: Op = {
  name: 'linear',
  // With a base it continues the residual stream.
  whole: ({ inputs, outputs }) => [inputs[5], inputs[0] ? outputs[0] : null],
  gradient: linearGradient,
  cost: productCost,
  inPlace: [[0, 0]],
};

export const linearDxOp: Op = { name: 'linear_dx', cost: productCost, inPlace: [[0, 0]] };

export const linearDwOp: Op = {
  name: 'linear_dw',
  whole: ({ outputs }) => [outputs[0]],
  cost: ({ inputs: [base, dy, x], outputs: [dw] }) => ({
    flops: 2 * rows(x!) * columns(x!) * columns(dy!),
    bytes: valueBytes(dy!) + valueBytes(x!) + valueBytes(dw!) * (base ? 2 : 1),
  }),
  inPlace: [[0, 0]],
};
