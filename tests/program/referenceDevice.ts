import * as assert from 'uvu/assert';
import type { Device, HostArray, Replay, Session } from '#src/devices/device.js';
import { planMemory } from '#src/program/plan.js';
import type { Module, Value } from '#src/program/types.js';
import { decode } from '../ops/cases.js';
import { Interpreter } from './interpreter.js';

/** A module run by the references of tests/ops: f64 from the first op to the last, f32 only for the host. */
export class ReferenceSession implements Session {
  readonly plan;
  readonly interpreter: Interpreter;
  readonly #module: Module;

  constructor(module: Module) {
    this.#module = module;
    this.plan = planMemory(module);
    this.interpreter = new Interpreter(module);
    // Sums over micro-batches begin at 0.
    for (const value of module.values) if (value.role === 'gradient') this.interpreter.read(value).fill(0);
  }

  value(name: string): Value {
    return this.#module.values.find((value) => value.name === name) ?? missing(name);
  }

  async write(value: Value, data: HostArray, offset = 0): Promise<void> {
    this.interpreter.read(value).set(decode(value.dtype, data), offset);
  }

  async read(value: Value): Promise<Float32Array> {
    return Float32Array.from(this.interpreter.read(value));
  }

  async run(program: string) {
    this.interpreter.run(program);
    return { totalMs: 0, waitMs: 0 };
  }

  submit(program: string, _priority: number, reads: readonly Value[]): Replay {
    const done = this.run(program).then(async (stats) => ({
      stats,
      values: await Promise.all(reads.map((value) => this.read(value))),
    }));
    return { accepted: done.then(() => {}), done };
  }

  profile = () => missing('profile');
  handle = () => missing('handle');
  close = async () => {};
}

const missing = (what: string): never => assert.unreachable(`references have no ${what}`) as never;

export const referenceDevice: Device = {
  info: {
    ...{
      name: 'wasm',
      description: 'references in f64',
      kernels: 'references',
      microBatchTokens: Infinity,
      lossScaling: false,
    },
    ...{ maxSessionBytes: Infinity, maxTotalBytes: Infinity },
  },
  plan: planMemory,
  compile: async (module) => new ReferenceSession(module),
  attach: () => missing('attach'),
  close: async () => {},
};
