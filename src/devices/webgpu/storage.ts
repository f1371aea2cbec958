import { type Call, type DType, type Module, rows, type Value } from '../../program/types.js';
import type { FloatType } from './lowering/lowering.js';

/**
 * The type each value's elements are stored in. With f16, these are halved:
 * - activations and inputs, but not where rounding would add up or a range is needed: the residual stream and its gradient, sums
 *   over tokens (gradients of weights), and the small numbers a backward pass divides by;
 * - frozen matrices.
 * Results for the host, and all that is trained, stay as they are.
 */
export function storedTypes(module: Module, precision: FloatType): (value: Value) => DType {
  if (precision === 'f32') return ({ dtype }) => dtype;
  const halves = new Set<Value>(module.values.filter(isFloat).filter(canBeHalf));
  for (const call of module.programs.flatMap(({ calls }) => calls)) {
    for (const value of keptWhole(call)) halves.delete(value);
  }
  return (value) => (halves.has(value) ? 'f16' : value.dtype);
}

const isFloat = ({ dtype }: Value): boolean => dtype === 'f32' || dtype === 'bf16' || dtype === 'f16';

const canBeHalf = (value: Value): boolean =>
  value.role === 'activation' || value.role === 'input' || (value.role === 'weight' && rows(value) > 1);

/** Operands by index that stay f32. */
interface Whole {
  readonly inputs?: readonly number[];
  readonly outputs?: readonly number[];
}

const WHOLE: Readonly<Record<string, Whole>> = {
  accumulate: { inputs: [1] },
  add: { outputs: [0] },
  attention: { outputs: [1] },
  attention_dx: { inputs: [5] },
  column_sum: { inputs: [0], outputs: [0] },
  embed: { outputs: [0] },
  embed_dw: { outputs: [0] },
  joint_loss_head: { outputs: [3] },
  linear: { inputs: [5] },
  linear_dw: { outputs: [0] },
  rmsnorm: { inputs: [1], outputs: [1] },
  rmsnorm_dw: { inputs: [0, 3], outputs: [0] },
  rmsnorm_dx: { inputs: [3, 4], outputs: [0] },
  rope: { inputs: [2] },
  sum_of_squares: { inputs: [0] },
};

function keptWhole({ op, inputs, outputs }: Call): Value[] {
  const whole = WHOLE[op];
  const values = [
    ...(whole?.inputs?.map((index) => inputs[index]) ?? []),
    ...(whole?.outputs?.map((index) => outputs[index]) ?? []),
    // A linear with a base continues the residual stream.
    op === 'linear' && inputs[0] ? outputs[0] : null,
  ];
  return values.filter((value): value is Value => value != null);
}
