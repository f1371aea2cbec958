import { Undefined, type Value } from './values.js';

/**
 * Names and what they stand for. A loop's iteration, a macro, a block of any kind but `if` has a scope of its own: what is
 * set there is gone after it.
 */
export class Scope {
  readonly #parent: Scope | undefined;
  /** Made when something is set. */
  #values: Map<string, Value> | undefined;

  constructor(parent: Scope | undefined, values?: ReadonlyMap<string, Value>) {
    this.#parent = parent;
    if (values) this.#values = new Map(values);
  }

  find(name: string): Value | undefined {
    for (let scope: Scope | undefined = this; scope; scope = scope.#parent) {
      const value = scope.#values?.get(name);
      if (value !== undefined) return value;
    }
    return undefined;
  }

  get(name: string): Value {
    const value = this.find(name);
    return value === undefined ? new Undefined(`'${name}' is undefined`) : value;
  }

  set(name: string, value: Value): void {
    this.#values ??= new Map();
    this.#values.set(name, value);
  }
}
