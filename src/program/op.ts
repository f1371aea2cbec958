import type { Builder } from './builder.js';
import type { Call, Cost, Value } from './types.js';

/** scale dy W, dy [.., out], W [out, in]. */
export interface ProductTerm {
  readonly x: Value;
  readonly weight: Value;
  readonly scale: number;
}

/** The gradients of a program while it is walked backwards. */
export interface Gradients {
  readonly builder: Builder;
  /** The gradient of `value` so far, or null when nothing has reached it. */
  get(value: Value): Value | null;
  /** Whether anything trained lies behind `value`: if not, its gradient is never computed. */
  needed(value: Value | null | undefined): value is Value;
  /** Replaces the gradient of `value`; the new one must already include what `get` gave (its *base*). */
  set(value: Value, gradient: Value): void;
  /** Adds a gradient that is already computed. */
  add(value: Value, gradient: Value): void;
  /** Adds scale dy W. Products wait until the gradient is read, so that two of them share one pass. */
  addProduct(value: Value, term: ProductTerm): void;
}

/** What the program knows of an op; devices hold its code under the same name. */
export interface Op {
  readonly name: string;
  /** Adds to the gradients of the call's inputs. Absent: nothing flows back through it. */
  readonly gradient?: (call: Call, gradients: Gradients) => void;
  readonly cost: (call: Call) => Cost;
  /** [input, output] pairs: the output may take over the input's storage if this call is its last use. */
  readonly inPlace?: readonly (readonly [input: number, output: number])[];
  /**
   * Operands that are f32 wherever they are stored, also on devices that keep others as halves: where rounding would add
   * up, as in sums over tokens and the residual stream, or a range is needed. Absent: any may be halved.
   */
  readonly whole?: (call: Call) => readonly (Value | null | undefined)[];
}

export const expectShape = (value: Value, shape: readonly number[], op: string): void => {
  if (value.shape.length !== shape.length || value.shape.some((n, i) => n !== shape[i])) {
    throw new Error(`${op}: expected ${value.name} of shape [${shape}], found [${value.shape}]`);
  }
};
