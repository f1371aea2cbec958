import { elementCount, type Module, type Program, type Value } from '#src/program/types.js';
import type { Tensor } from '../ops/cases.js';
import { references } from '../ops/index.js';

/** A device made of the references: every value in f64 and in storage of its own. */
export class Interpreter {
  readonly #programs: ReadonlyMap<string, Program>;
  readonly #values = new Map<Value, Tensor>();

  /** Values that are never written hold NaN. */
  constructor(module: Module) {
    this.#programs = new Map(module.programs.map((program) => [program.name, program]));
    for (const value of module.values) {
      this.write(value, new Float64Array(elementCount(value.shape)).fill(Number.NaN));
    }
  }

  write(value: Value, data: Float64Array): void {
    this.#values.set(value, { shape: value.shape, data });
  }

  read(value: Value): Float64Array {
    return this.#values.get(value)!.data;
  }

  run(program: string): void {
    for (const { op, inputs, outputs, attributes } of this.#programs.get(program)!.calls) {
      const results = references[op]!({
        inputs: inputs.map((value) => value && this.#values.get(value)!),
        outputs: outputs.map((value) => this.#values.get(value)!),
        attributes,
      });
      outputs.forEach((value, i) => {
        this.write(value, results[i]!);
      });
    }
  }
}
