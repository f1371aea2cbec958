import type { Builder } from './builder.js';
import type { Gradients, ProductTerm } from './op.js';
import { add } from './ops/add.js';
import { linearDx } from './ops/linear.js';
import { ops } from './ops.js';
import type { Call, Value } from './types.js';

/**
 * Appends the backward pass to the program being recorded: walks its calls in reverse, each op adding to the
 * gradients of its inputs. Ops that end a loss (joint_loss_head) give the first gradients themselves.
 * @param finish called as soon as a trained value's gradient is complete, so that what it does with it (and the
 * gradient's storage) need not wait for the end of the walk
 * @returns the gradient of each trained value that the losses reach
 */
export function addGradients(
  builder: Builder,
  finish: (parameter: Value, gradient: Value) => void = () => {},
): Map<Value, Value> {
  const forward = [...builder.calls];
  const walk = new Walk(builder, trainedBehind(forward));
  const complete = firstUses(forward);
  const gradients = new Map<Value, Value>();
  for (const call of forward.reverse()) {
    ops[call.op]!.gradient?.(call, walk);
    for (const parameter of complete.get(call) ?? []) {
      const gradient = walk.get(parameter);
      if (!gradient) continue;
      gradients.set(parameter, gradient);
      finish(parameter, gradient);
    }
  }
  return gradients;
}

/** For each call, the parameters that no earlier call uses: walking backwards, nothing is added to them after it. */
function firstUses(calls: readonly Call[]): Map<Call, Value[]> {
  const seen = new Set<Value>();
  return new Map(
    calls.map((call) => {
      const fresh = call.inputs.filter((value) => value?.role === 'parameter' && !seen.has(value));
      const parameters = [...new Set(fresh)] as Value[];
      for (const parameter of parameters) seen.add(parameter);
      return [call, parameters];
    }),
  );
}

/** Every value of `calls` that depends on a parameter. */
function trainedBehind(calls: readonly Call[]): Set<Value> {
  const needed = new Set<Value>();
  for (const { op, inputs, outputs } of calls) {
    for (const input of inputs) if (input?.role === 'parameter') needed.add(input);
    if (ops[op]!.gradient && inputs.some((input) => input && needed.has(input))) {
      for (const output of outputs) needed.add(output);
    }
  }
  return needed;
}

class Walk implements Gradients {
  readonly builder: Builder;
  readonly #needed: Set<Value>;
  readonly #gradients = new Map<Value, Value>();
  readonly #products = new Map<Value, ProductTerm[]>();

  constructor(builder: Builder, needed: Set<Value>) {
    this.builder = builder;
    this.#needed = needed;
  }

  needed(value: Value | null | undefined): value is Value {
    return value != null && this.#needed.has(value);
  }

  get(value: Value): Value | null {
    const products = this.#products.get(value) ?? [];
    this.#products.delete(value);
    for (let i = 0; i < products.length; i += 2) {
      const pair = products.slice(i, i + 2);
      const base = this.#gradients.get(value) ?? null;
      this.#gradients.set(value, linearDx(this.builder, `d_${value.name}`, pair, base));
    }
    return this.#gradients.get(value) ?? null;
  }

  set(value: Value, gradient: Value): void {
    this.#gradients.set(value, gradient);
  }

  add(value: Value, gradient: Value): void {
    const known = this.#gradients.get(value);
    this.#gradients.set(value, known ? add(this.builder, known, gradient) : gradient);
  }

  addProduct(value: Value, product: ProductTerm): void {
    const waiting = this.#products.get(value);
    if (waiting) waiting.push(product);
    else this.#products.set(value, [product]);
  }
}
