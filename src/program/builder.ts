import type { Attributes, Call, DType, Module, Program, Role, Value } from './types.js';

/**
 * Records values and calls. The model is a function that calls the ops of `ops/` on a builder; what comes out is a
 * static module: nothing is decided again when it runs.
 */
export class Builder {
  readonly #values: Value[] = [];
  readonly #names = new Map<string, Value>();
  readonly #programs: Program[] = [];
  #calls: Call[] | undefined;
  #segments: Call[][] = [];
  #scope = '';

  /** Declares a value; names are unique in the module (activations get a running number). */
  value(role: Role, name: string, shape: readonly number[], dtype: DType = 'f32'): Value {
    const id = this.#values.length;
    const unique = role === 'activation' ? `${this.#scope}${name}#${id}` : `${this.#scope}${name}`;
    if (this.#names.has(unique)) throw new Error(`Value ${unique} is declared twice`);
    if (shape.some((n) => !Number.isInteger(n) || n < 1)) {
      throw new Error(`Value ${unique} has the impossible shape [${shape.join(', ')}]`);
    }
    const value: Value = { id, name: unique, shape, dtype, role };
    this.#values.push(value);
    this.#names.set(unique, value);
    return value;
  }

  activation(name: string, shape: readonly number[], dtype: DType = 'f32'): Value {
    return this.value('activation', name, shape, dtype);
  }

  /** A declared value by its full name. */
  get(name: string): Value {
    const value = this.#names.get(name);
    if (!value) throw new Error(`Expected a value named ${name}; it was never declared`);
    return value;
  }

  has(name: string): boolean {
    return this.#names.has(name);
  }

  /** Appends a call to the program being recorded. */
  call(op: string, inputs: (Value | null)[], outputs: Value[], attributes: Attributes = {}): void {
    if (!this.#calls) throw new Error(`Op ${op} was called outside of a program`);
    this.#calls.push({ op, inputs, outputs, attributes });
  }

  /** The calls recorded so far in the current program. */
  get calls(): readonly Call[] {
    return this.#calls ?? [];
  }

  /**
   * Marks what `record` records as a segment of the current program: a stretch whose values can be computed again from
   * what it reads (see recompute.ts). Segments are not nested.
   */
  segment<T>(record: () => T): T {
    const first = this.calls.length;
    const result = record();
    this.#segments.push(this.calls.slice(first));
    return result;
  }

  /** The segments recorded so far in the current program. */
  get segments(): readonly (readonly Call[])[] {
    return this.#segments;
  }

  /** Takes the calls from the one numbered `first` on out of the current program. */
  takeBack(first: number): Call[] {
    return this.#calls?.splice(first) ?? [];
  }

  /** Records a program; inside `record`, names of new values start with `scope`. */
  program(name: string, options: { arena: string; scope?: string }, record: () => void): void {
    if (this.#calls) throw new Error(`Program ${name} was begun inside another`);
    this.#calls = [];
    this.#segments = [];
    this.#scope = options.scope ?? '';
    try {
      record();
      this.#programs.push({ name, arena: options.arena, calls: this.#calls });
    } finally {
      this.#calls = undefined;
      this.#scope = '';
    }
  }

  module(): Module {
    return { values: this.#values, programs: this.#programs };
  }
}
