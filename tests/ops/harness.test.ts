import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Device, HostArray, Session } from '#src/devices/device.js';
import { linear } from '#src/program/ops/linear.js';
import { planMemory } from '#src/program/plan.js';
import type { Module, Value } from '#src/program/types.js';
import { Interpreter } from '../program/interpreter.js';
import { activations, decode, opCase, sumTolerance, weights } from './cases.js';
import { expectSameBits, prepare, runCase } from './harness.js';

/** What a faulty kernel does to the storage after its `run`-th run. */
type Fault = (contents: (name: string) => HostArray, run: number) => void;

/** A device that computes with the references and then breaks something. */
class FaultyDevice implements Device {
  readonly info = {
    name: 'wasm',
    description: 'faulty',
    kernels: 'faulty',
    maxSessionBytes: 0,
    maxTotalBytes: 0,
    microBatchTokens: 2048,
    lossScaling: false,
  } as const;
  readonly plan = planMemory;
  readonly #fault: Fault;

  constructor(fault: Fault) {
    this.#fault = fault;
  }

  async compile(module: Module): Promise<Session> {
    const contents = new Map<string, HostArray>();
    let runs = 0;
    const session: Partial<Session> = {
      write: async (value: Value, data: HostArray) => void contents.set(value.name, data.slice()),
      read: async (value: Value) => contents.get(value.name)!.slice(),
      run: async (program: string) => {
        const interpreter = new Interpreter(module);
        for (const value of module.values) {
          const data = contents.get(value.name);
          if (data) interpreter.write(value, decode(value.dtype, data));
        }
        interpreter.run(program);
        for (const value of module.programs[0]!.calls.flatMap((call) => call.outputs)) {
          contents.set(value.name, Float32Array.from(interpreter.read(value)));
        }
        this.#fault((name) => contents.get(name)!, runs++);
        return { totalMs: 0, waitMs: 0 };
      },
      close: async () => {},
    };
    return session as Session;
  }

  attach = (): Promise<Session> => Promise.reject(new Error('sessions of a faulty device are not shared'));
  close = async (): Promise<void> => {};
}

const prepared = prepare(
  opCase({
    op: 'linear',
    label: 'for the harness',
    inputs: (random) => ({ x: activations(random, [3, 5]), weight: weights(random, [4, 5], 'bf16') }),
    build: (b, { x, weight }) => linear(b, 'y', [{ x, weight }]),
    tolerance: sumTolerance(5),
  }),
);
const output = prepared.module.programs[0]!.calls[0]!.outputs[0]!.name;

test('a device without fault passes and gives back the bits of the outputs', async () => {
  const bits = await runCase(new FaultyDevice(() => {}), prepared);
  assert.equal([...bits.keys()], [output]);
  assert.is(bits.get(output)!.length, 12);
});

let earlier = 0;
const faults: Record<string, [Fault, RegExp]> = {
  'a wrong number': [
    (contents) => {
      contents(output)[7]! += 1e-3;
    },
    /^linear, for the harness, seed \d+: y#2\[7\] expected -?[\d.e-]+, found -?[\d.e-]+ on wasm \(faulty\)/,
  ],
  'an element that is never written': [
    (contents) => {
      contents(output)[11] = Number.NaN;
    },
    /y#2\[11\] expected -?[\d.e-]+, found NaN/,
  ],
  'a write before an output': [
    (contents) => {
      contents('guard.4')[63] = 0;
    },
    /guard\.4\[63\] was 3735928559 and is 0/,
  ],
  'a write behind an output': [
    (contents) => {
      contents('guard.6')[0] = 1;
    },
    /guard\.6\[0\] was 3735928559 and is 1/,
  ],
  'a changed input': [
    (contents) => {
      contents('weight')[3]! ^= 1;
    },
    /weight\[3\] was \d+ and is \d+: it is not an output/,
  ],
  'what an earlier run left behind': [
    (contents) => {
      const result = contents(output);
      const left = result[0]!;
      result[0]! += 0 * earlier;
      earlier = left;
    },
    /y#2\[0\] expected -?[\d.e-]+, found NaN/,
  ],
  'another bit in the second run': [
    (contents, run) => {
      if (run > 1) contents(output)[2]! *= 1 + 2 ** -23;
    },
    /y#2\[2\] is .* when run again, .* without: the bits differ/,
  ],
};

for (const [name, [fault, message]] of Object.entries(faults)) {
  test(`${name} is caught`, async () => {
    const error = await runCase(new FaultyDevice(fault), prepared).catch((reason: Error) => reason);
    assert.instance(error, Error);
    assert.match((error as Error).message, message);
  });
}

test('bits that depend on the circumstance are caught', () => {
  const bits = (zero: number) => new Map<string, HostArray>([[output, Float32Array.of(1, zero)]]);
  expectSameBits(prepared, bits(0), bits(0), 'with 2 threads');
  assert.throws(
    () => expectSameBits(prepared, bits(-0), bits(0), 'with 2 threads'),
    /y#2\[1\] is 0 with 2 threads/,
  );
});

test.run();
