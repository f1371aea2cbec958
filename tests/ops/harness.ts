import type { Device, HostArray, Session } from '#src/devices/device.js';
import { Builder } from '#src/program/builder.js';
import type { MemoryPlan } from '#src/program/plan.js';
import { type Call, elementCount, type Module, type Value } from '#src/program/types.js';
import { Interpreter } from '../program/interpreter.js';
import { decode, HALVES, type Input, type OpCase, Random, type Tolerance } from './cases.js';

const PROGRAM = 'case';
/** 256 bytes: a value's neighbour on either side, that a kernel must leave alone. */
const GUARD_WORDS = 64;
const canary = (): Uint32Array => new Uint32Array(GUARD_WORDS).fill(0xdeadbeef);

/** A recorded case, its inputs, and what every value should hold after the run. */
export interface PreparedCase {
  readonly opCase: OpCase;
  readonly module: Module;
  readonly inputs: Readonly<Record<string, Input>>;
  readonly expected: ReadonlyMap<string, Float64Array>;
}

/** A case as a module of one program, with its inputs by the names of their values. */
export function record(opCase: OpCase): Pick<PreparedCase, 'module' | 'inputs'> {
  const b = new Builder();
  const inputs = opCase.inputs(new Random(opCase.seed));
  const values = Object.fromEntries(
    Object.entries(inputs).map(([name, { role, shape, dtype }]) => [name, b.value(role, name, shape, dtype)]),
  );
  b.program(PROGRAM, { arena: PROGRAM }, () => opCase.build(b, values));
  return { module: b.module(), inputs };
}

export function prepare(opCase: OpCase): PreparedCase {
  const { module, inputs } = record(opCase);
  const interpreter = new Interpreter(module);
  for (const value of module.values) {
    const input = inputs[value.name];
    if (input) interpreter.write(value, decode(input.dtype, input.data));
  }
  interpreter.run(PROGRAM);
  const expected = new Map(module.values.map((value) => [value.name, interpreter.read(value)]));
  return { opCase, module, inputs, expected };
}

/**
 * Runs a case, twice, with guarded outputs, and also as the planner lays it out where values share storage there.
 * Throws on a wrong number, on a touched guard or input, and where the two runs differ in a bit.
 * @param halves whether the device may keep activations and frozen matrices as f16
 * @returns the bits of every value that the ops wrote.
 */
export async function runCase(
  device: Device,
  prepared: PreparedCase,
  halves = false,
): Promise<Map<string, HostArray>> {
  const bits = await runTwice(device, prepared, guarded(prepared.module), halves);
  if (sharesStorage(device.plan(prepared.module))) {
    const shared = await runTwice(device, prepared, prepared.module, halves);
    // Outputs, which the guarded module has in place of activations, are never rounded.
    if (!halves) expectSameBits(prepared, shared, bits, 'with storage shared');
  }
  return bits;
}

export function expectSameBits(
  { opCase }: PreparedCase,
  actual: ReadonlyMap<string, HostArray>,
  expected: ReadonlyMap<string, HostArray>,
  circumstance: string,
): void {
  for (const [name, before] of expected) {
    const now = actual.get(name)!;
    const index = firstDifference(now, before);
    if (index < 0) continue;
    fail(
      opCase,
      `${name}[${index}] is ${now[index]} ${circumstance}, ${before[index]} without: the bits differ`,
    );
  }
}

/** The module with every result an output with storage of its own, and a guard between any two values. */
function guarded({ values, programs }: Module): Module {
  const results = new Set<Value>(programs[0]!.calls.at(-1)!.outputs);
  const declared: Value[] = [];
  const declare = (value: Omit<Value, 'id'>): Value => {
    declared.push({ ...value, id: declared.length });
    return declared.at(-1)!;
  };
  const guard = () => {
    declare({ name: `guard.${declared.length}`, shape: [GUARD_WORDS], dtype: 'u32', role: 'state' });
  };
  const copies = new Map<Value, Value>();
  for (const value of values) {
    guard();
    const role = value.role === 'activation' && results.has(value) ? 'output' : value.role;
    copies.set(value, declare({ ...value, role }));
  }
  guard();
  const copy = <V extends Value | null>(value: V): V => (value && copies.get(value)) as V;
  const calls = programs[0]!.calls.map(
    (call): Call => ({ ...call, inputs: call.inputs.map(copy), outputs: call.outputs.map(copy) }),
  );
  return { values: declared, programs: [{ ...programs[0]!, calls }] };
}

const sharesStorage = ({ slotOf }: MemoryPlan): boolean => new Set(slotOf.values()).size < slotOf.size;

/** A first run on NaNs leaves them in all working storage: what a kernel reads before it wrote it then shows. */
async function runTwice(
  device: Device,
  prepared: PreparedCase,
  module: Module,
  halves: boolean,
): Promise<Map<string, HostArray>> {
  const { opCase, inputs } = prepared;
  const session = await device.compile(module);
  try {
    await run(session, opCase, module, contentsOf(module, {}), halves);
    const contents = contentsOf(module, inputs);
    const first = await run(session, opCase, module, contents, halves);
    check(device, prepared, first, halves);
    const second = await run(session, opCase, module, contents, halves);
    expectSameBits(prepared, second, first, 'when run again');
    return first;
  } finally {
    await session.close();
  }
}

/** What the host writes: inputs, canaries, and NaN into the rest, so that an element that is never written shows. */
function contentsOf({ values }: Module, inputs: PreparedCase['inputs']): Map<Value, HostArray> {
  const content = (value: Value): HostArray => {
    if (value.name.startsWith('guard.')) return canary();
    return inputs[value.name]?.data ?? notNumbers(value);
  };
  const held = values.filter((value) => value.role !== 'activation');
  return new Map(held.map((value) => [value, content(value)]));
}

/** NaN in every format of floats; integers, which may be indices, are 0. */
function notNumbers({ dtype, shape }: Value): HostArray {
  const count = elementCount(shape);
  if (dtype === 'f32') return new Float32Array(count).fill(Number.NaN);
  if (dtype === 'u32') return new Uint32Array(count);
  return dtype === 'i32' ? new Int32Array(count) : new Uint16Array(count).fill(0x7fff);
}

/** Fills everything, runs, checks guards and inputs, and reads what the program wrote. */
async function run(
  session: Session,
  opCase: OpCase,
  module: Module,
  contents: Map<Value, HostArray>,
  halves: boolean,
) {
  const calls = module.programs[0]!.calls;
  const written = new Set(calls.flatMap((call) => call.outputs));
  for (const [value, data] of contents) await session.write(value, data);
  await session.run(PROGRAM);
  const bits = new Map<string, HostArray>();
  for (const value of new Set([...contents.keys(), ...calls.at(-1)!.outputs])) {
    if (halves && !written.has(value) && isFloat(value)) continue;
    const data = await session.read(value);
    if (written.has(value)) bits.set(value.name, data);
    else expectUntouched(opCase, value, data, contents.get(value)!);
  }
  return bits;
}

/** As f16 it would be read back rounded. */
const isFloat = ({ dtype }: Value): boolean => dtype !== 'u32' && dtype !== 'i32';

function expectUntouched(opCase: OpCase, { name }: Value, actual: HostArray, expected: HostArray): void {
  const index = firstDifference(actual, expected);
  if (index >= 0)
    fail(opCase, `${name}[${index}] was ${expected[index]} and is ${actual[index]}: it is not an output`);
}

/** The first element whose bits differ, or -1. */
function firstDifference(a: HostArray, b: HostArray): number {
  const [x, y] = [a, b].map(
    ({ buffer, byteOffset, byteLength }) => new Uint8Array(buffer, byteOffset, byteLength),
  );
  if (Buffer.compare(x!, y!) === 0) return -1;
  return Math.floor(x!.findIndex((byte, i) => byte !== y![i]) / a.BYTES_PER_ELEMENT);
}

function check(
  { info }: Device,
  { opCase, expected }: PreparedCase,
  bits: ReadonlyMap<string, HostArray>,
  halves: boolean,
): void {
  for (const [name, data] of bits) {
    const reference = expected.get(name)!;
    const { absolute, relative, reason } = halves ? halved(opCase.tolerance, reference) : opCase.tolerance;
    const index = data.findIndex((value, i) => {
      // Not "<", so that a NaN is an error.
      return !(Math.abs(value - reference[i]!) <= absolute + relative * Math.abs(reference[i]!));
    });
    if (index < 0) continue;
    const allowed = `${absolute} + ${relative} |expected| (${reason})`;
    const found = `${name}[${index}] expected ${reference[index]}, found ${data[index]}`;
    fail(opCase, `${found} on ${info.name} (${info.description}); allowed: ${allowed}`);
  }
}

/** With f16 in storage; what cancels leaves errors of the largest element's size. */
function halved(
  { absolute, relative, reason, halves = HALVES }: Tolerance,
  reference: Float64Array,
): Tolerance {
  const largest = reference.reduce((max, x) => Math.max(max, Math.abs(x)), 0);
  return {
    absolute: absolute + largest * halves,
    relative: relative + 2 * HALVES,
    reason: `${reason}; f16 in storage`,
  };
}

function fail({ op, label, seed }: OpCase, message: string): never {
  throw new Error(`${op}, ${label}, seed ${seed}: ${message}`);
}
