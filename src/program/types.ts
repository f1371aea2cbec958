/** Element types a value can have. Frozen weights keep the type they have on disk; all arithmetic is f32. */
export type DType = 'f32' | 'f16' | 'bf16' | 'u32' | 'i32';

/**
 * Who fills a value, and how long it lives.
 * - weight: frozen, written once at load            - parameter: trained, lives as long as the session
 * - gradient, state: as long as the session         - scalar: one number, may change at every replay
 * - input: written by the host before a replay      - output: read by the host after a replay
 * - activation: only within one replay; the planner lets values that are never alive together share storage
 */
export type Role =
  | 'weight'
  | 'parameter'
  | 'gradient'
  | 'state'
  | 'input'
  | 'scalar'
  | 'activation'
  | 'output';

/** A typed slot of storage. Shapes are static: everything that varies between replays is data. */
export interface Value {
  readonly id: number;
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: DType;
  readonly role: Role;
}

export type Attributes = Readonly<Record<string, number>>;

/** One op applied to values. An absent optional input is null. */
export interface Call {
  readonly op: string;
  readonly inputs: readonly (Value | null)[];
  readonly outputs: readonly Value[];
  readonly attributes: Attributes;
}

/** A straight list of calls, replayed as a whole. */
export interface Program {
  readonly name: string;
  /** Programs with the same arena share the storage of their activations and must never overlap in time. */
  readonly arena: string;
  readonly calls: readonly Call[];
}

/** Programs over common values: what a device compiles once and then only replays. */
export interface Module {
  readonly values: readonly Value[];
  readonly programs: readonly Program[];
}

/** Work of one call: floating-point operations and bytes moved to and from memory at least once. */
export interface Cost {
  readonly flops: number;
  readonly bytes: number;
}

const BYTES: Record<DType, number> = { f32: 4, f16: 2, bf16: 2, u32: 4, i32: 4 };

export const elementBytes = (dtype: DType): number => BYTES[dtype];

export const elementCount = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

/** Bytes of a value's elements, as the type it has or as the one a device stores it in. */
export const valueBytes = (value: Value, stored: DType = value.dtype): number =>
  elementCount(value.shape) * BYTES[stored];

/** A value's last dimension: the length of its rows. */
export const columns = (value: Value): number => value.shape[value.shape.length - 1] ?? 1;

/** The product of all dimensions but the last. */
export const rows = (value: Value): number => elementCount(value.shape) / columns(value);

export const describe = (value: Value): string => `${value.name} ${value.dtype}[${value.shape.join(', ')}]`;
