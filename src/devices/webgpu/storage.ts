import { ops } from '../../program/ops.js';
import { type DType, type Module, rows, type Value } from '../../program/types.js';
import type { FloatType } from './lowering/lowering.js';

/**
 * The type each value's elements are stored in. With f16, these are halved:
 * - activations and inputs, but not those that an op needs whole (`Op.whole`): the residual stream and its gradient, sums
 *   over tokens (gradients of weights), and the small numbers a backward pass divides by;
 * - frozen matrices.
 * Results for the host, and all that is trained, stay as they are.
 */
export function storedTypes(module: Module, precision: FloatType): (value: Value) => DType {
  if (precision === 'f32') return ({ dtype }) => dtype;
  const halves = new Set<Value>(module.values.filter(isFloat).filter(canBeHalf));
  for (const call of module.programs.flatMap(({ calls }) => calls)) {
    for (const value of ops[call.op]!.whole?.(call) ?? []) if (value) halves.delete(value);
  }
  return (value) => (halves.has(value) ? 'f16' : value.dtype);
}

const isFloat = ({ dtype }: Value): boolean => dtype === 'f32' || dtype === 'bf16' || dtype === 'f16';

const canBeHalf = (value: Value): boolean =>
  value.role === 'activation' || value.role === 'input' || (value.role === 'weight' && rows(value) > 1);
