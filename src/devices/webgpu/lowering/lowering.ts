import type { Call, DType, Value } from '../../../program/types.js';

/** A range of bytes of one of a session's buffers. Two values that share storage have the same `storage`. */
export interface Region {
  readonly storage: number;
  /** Whose storage it is, for errors. */
  readonly name: string;
  readonly offset: number;
  readonly bytes: number;
}

/** One dispatch of an entry point of kernels/FILE.wgsl. */
export interface Dispatch {
  readonly file: string;
  readonly entry: string;
  /** Values of the file's `override` constants. */
  readonly constants: Readonly<Record<string, number>>;
  /** Words of the uniform struct at @binding(0). */
  readonly shape: readonly number[];
  /** From @binding(1) on; null for an absent operand, whose binding the kernel then never touches. */
  readonly bindings: readonly (Region | null)[];
  /** Workgroups in x and y. */
  readonly groups: readonly [number, number];
}

/** What an adapter allows. */
export interface Limits {
  /** Bytes of one buffer. */
  readonly bufferBytes: number;
  /** Bytes of a buffer that one binding shows to a kernel. */
  readonly bindingBytes: number;
  /** Workgroups in one dimension of a dispatch. */
  readonly groups: number;
}

/** Where a call's operands live. */
export interface Operands {
  readonly limits: Limits;
  of(value: Value): Region;
  /** The working room this lowering asked for in `workspaceBytes`. */
  readonly workspace: Region;
}

/** The code of one op on this device. */
export interface Lowering {
  lower(call: Call, at: Operands): Dispatch[];
  workspaceBytes?(call: Call, limits: Limits): number;
}

/** The number by which kernels know a weight's element type (kernels/linear.wgsl). */
const DTYPES: Partial<Record<DType, number>> = { f32: 0, bf16: 1, f16: 2 };

export function dtypeCode({ dtype, name }: Value): number {
  const code = DTYPES[dtype];
  if (code === undefined) throw new Error(`Kernels cannot multiply by ${dtype} ${name}`);
  return code;
}

/** How a kernel reaches an operand that may be absent, or whose storage the output has taken over. */
export const OPERAND = { none: 0, separate: 1, inPlace: 2 } as const;

/** The kernel's constant for an operand of a call that writes `output`, and what to bind for it. */
export function operand(region: Region | null, output: Region): { code: number; binding: Region | null } {
  if (!region) return { code: OPERAND.none, binding: null };
  if (region.storage === output.storage) return { code: OPERAND.inPlace, binding: null };
  return { code: OPERAND.separate, binding: region };
}

const word = new DataView(new ArrayBuffer(4));

/** The word that holds `value` as an f32. */
export function f32Word(value: number): number {
  word.setFloat32(0, value);
  return word.getUint32(0);
}

export const roundUp = (n: number, multiple: number): number => Math.ceil(n / multiple) * multiple;
