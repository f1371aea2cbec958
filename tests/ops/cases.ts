import type { HostArray } from '#src/devices/device.js';
import { bfloat16ToFloat32, float16ToFloat32, float32ToFloat16 } from '#src/formats/float16.js';
import type { Builder } from '#src/program/builder.js';
import { type Attributes, type DType, elementCount, type Role, type Value } from '#src/program/types.js';

/** An operand of a reference. Integers are held as the same numbers, 16-bit floats widened. */
export interface Tensor {
  readonly shape: readonly number[];
  readonly data: Float64Array;
}

export interface ReferenceCall {
  readonly inputs: readonly (Tensor | null)[];
  /** Shapes of the outputs, and what is in their storage before the call (NaN if nothing was written). */
  readonly outputs: readonly Tensor[];
  readonly attributes: Attributes;
}

/** The plain, slow meaning of an op in f64: the new content of each output. */
export type Reference = (call: ReferenceCall) => Float64Array[];

/** A declared value and what the host writes into it. */
export interface Input {
  readonly role: Role;
  readonly shape: readonly number[];
  readonly dtype: DType;
  readonly data: HostArray;
}

/** |actual - expected| <= absolute + relative |expected|, and why that much. */
export interface Tolerance {
  readonly absolute: number;
  readonly relative: number;
  readonly reason: string;
  /** How far f16 in storage may move an element, over the largest one; default: `HALVES`. */
  readonly halves?: number;
}

/** Operands and results are each rounded to 2^-11 of their size. */
export const HALVES = 2 ** -9;

/** A program of one op (or a few of the same, so that storage is taken over in place) on seeded inputs. */
export interface OpCase {
  readonly op: string;
  readonly label: string;
  readonly seed: number;
  readonly inputs: (random: Random) => Record<string, Input>;
  readonly build: (b: Builder, values: Record<string, Value>) => void;
  readonly tolerance: Tolerance;
}

/** What tests/ops/NAME.ts holds: the cases of a family of ops and the reference of each. */
export interface OpTable {
  readonly references: Readonly<Record<string, Reference>>;
  readonly cases: readonly OpCase[];
}

interface CaseDefinition<I extends Readonly<Record<string, Input | undefined>>> {
  readonly op: string;
  readonly label: string;
  readonly inputs: (random: Random) => I;
  readonly build: (b: Builder, values: { readonly [K in keyof I]: Value }) => void;
  readonly tolerance: Tolerance;
}

/** A case whose seed is a hash of its name, so that adding one changes no other. Undefined inputs are dropped. */
export function opCase<I extends Readonly<Record<string, Input | undefined>>>(
  definition: CaseDefinition<I>,
): OpCase {
  let seed = 0x811c9dc5;
  for (const c of `${definition.op} ${definition.label}`) {
    seed = Math.imul(seed ^ c.codePointAt(0)!, 0x01000193) >>> 0;
  }
  return { ...(definition as unknown as Omit<OpCase, 'seed'>), seed };
}

export const EXACT: Tolerance = { absolute: 0, relative: 0, reason: 'elements are only moved' };

/** For sums of `terms` products whose total is of the order of 1: rounding grows like a random walk. */
export const sumTolerance = (terms: number): Tolerance => ({
  absolute: 2 ** -21 * Math.sqrt(terms + 4),
  relative: 2 ** -20,
  reason: `f32 sums of ${terms} products of order 1 / sqrt(${terms}), in any order`,
});

/** Counter-based random numbers: the n-th one is a function of the seed and n. */
export class Random {
  readonly seed: number;
  #counter = 0;

  constructor(seed: number) {
    this.seed = seed;
  }

  /** Uniform in [0, 2^32): lowbias32 (C. Wellons) of a Weyl sequence. */
  uint32(): number {
    let x = (this.seed + Math.imul(++this.#counter, 0x9e3779b9)) | 0;
    x = Math.imul(x ^ (x >>> 16), 0x7feb352d);
    x = Math.imul(x ^ (x >>> 15), 0x846ca68b);
    return (x ^ (x >>> 16)) >>> 0;
  }

  /** Uniform in [low, high). */
  uniform(low: number, high: number): number {
    return low + ((high - low) * this.uint32()) / 2 ** 32;
  }

  /** Standard normal (Box and Muller). */
  normal(): number {
    return Math.sqrt(-2 * Math.log(this.uniform(2 ** -33, 1))) * Math.cos(this.uniform(0, 2 * Math.PI));
  }

  integer(bound: number): number {
    return Math.floor(this.uniform(0, bound));
  }
}

/** Floats made one by one, as f32 or rounded to 16 bits. */
export function floats(
  role: Role,
  shape: readonly number[],
  make: () => number,
  dtype: DType = 'f32',
): Input {
  const values = Float32Array.from({ length: elementCount(shape) }, make);
  return { role, shape, dtype, data: dtype === 'f32' ? values : toBits(values, dtype) };
}

export function integers(
  role: Role,
  shape: readonly number[],
  make: (i: number) => number,
  dtype: DType,
): Input {
  const length = elementCount(shape);
  const values = Array.from({ length }, (_, i) => make(i));
  return { role, shape, dtype, data: dtype === 'i32' ? Int32Array.from(values) : Uint32Array.from(values) };
}

/** f32 normal numbers of the given standard deviation that the host writes before the run. */
export const activations = (random: Random, shape: readonly number[], deviation = 1): Input =>
  floats('input', shape, () => deviation * random.normal());

/** Frozen normal numbers; of deviation 1 / sqrt(columns) unless told, so that products are of order 1. */
export const weights = (
  random: Random,
  shape: readonly number[],
  dtype: DType = 'f32',
  deviation = 1 / Math.sqrt(shape.at(-1)!),
): Input => floats('weight', shape, () => deviation * random.normal(), dtype);

export const scalar = (data: number): Input => ({
  role: 'scalar',
  shape: [1],
  dtype: 'f32',
  data: Float32Array.of(data),
});

function toBits(values: Float32Array, dtype: DType): Uint16Array {
  const bits = new Uint16Array(values.length);
  if (dtype === 'f16') float32ToFloat16(values, bits);
  // The upper half of an f32 is a bf16; that this rounds towards 0 does not matter to random numbers.
  else if (dtype === 'bf16') bits.set(new Uint32Array(values.buffer).map((word) => word >>> 16));
  else throw new Error(`Expected f16 or bf16, found ${dtype}`);
  return bits;
}

/** The numbers that a value's storage holds. */
export function decode(dtype: DType, data: HostArray): Float64Array {
  if (!(data instanceof Uint16Array)) return Float64Array.from(data);
  const wide = new Float32Array(data.length);
  if (dtype === 'bf16') bfloat16ToFloat32(data, wide);
  else float16ToFloat32(data, wide);
  return Float64Array.from(wide);
}

/** The length of a tensor's rows, and how many it has. */
export const columns = ({ shape }: Tensor): number => shape.at(-1)!;
export const rows = ({ data, shape }: Tensor): number => data.length / shape.at(-1)!;

export const zerosLike = ({ data }: Tensor): Float64Array => new Float64Array(data.length);
