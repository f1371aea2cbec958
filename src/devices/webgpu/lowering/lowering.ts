import type { Call, DType, Value } from '../../../program/types.js';

/** Element types of the float operands of kernels. */
export type FloatType = 'f32' | 'f16';

/** What the types that a kernel leaves open may stand for: floats, or words that hold some. */
export type ElementType = FloatType | 'u32' | 'vec4u';

/** A range of bytes of one of a session's buffers. Two values that share storage have the same `storage`. */
export interface Region {
  readonly storage: number;
  /** Whose storage it is, for errors. */
  readonly name: string;
  readonly offset: number;
  readonly bytes: number;
}

export type Groups = readonly [x: number, y: number, z?: number];

/** One dispatch of an entry point of kernels/FILE.wgsl. */
export interface Dispatch {
  readonly file: string;
  readonly entry: string;
  /** Values of the constants that the file declares `override` or leaves open (see pipelines.ts). */
  readonly constants: Readonly<Record<string, number>>;
  /** What the types that the file leaves open stand for (see pipelines.ts); f32 unless given. */
  readonly types: Readonly<Record<string, ElementType>>;
  /** Words of the uniform struct at @binding(0). */
  readonly shape: readonly number[];
  /** From @binding(1) on; null for an absent operand, whose binding the kernel then never touches. */
  readonly bindings: readonly (Region | null)[];
  /** Scalars the kernel declares `var<uniform>`, bound after `bindings`. */
  readonly scalars?: readonly Region[];
  /** Workgroups in x, y and z. */
  readonly groups: Groups;
}

/** What an adapter allows. */
export interface Limits {
  /** Bytes of one buffer. */
  readonly bufferBytes: number;
  /** Bytes of a buffer that one binding shows to a kernel. */
  readonly bindingBytes: number;
  /** Workgroups in one dimension of a dispatch. */
  readonly groups: number;
  /** Bytes of workgroup memory. */
  readonly workgroupBytes: number;
}

/** What kernels are made for: an adapter, and how a run wants it used. */
export interface Target extends Limits {
  /** Of activations and frozen matrices in storage (see storage.ts); arithmetic is f32. */
  readonly precision: FloatType;
  /** Where products of halves go through the GPU's matrix units. */
  readonly matrices: Matrices | null;
  /** Threads of every subgroup of an adapter that is a CPU; absent on a GPU. */
  readonly lanes?: number | undefined;
  /** Whether the driver makes a kernel's pipeline; absent: any. */
  readonly admits?: (dispatch: Dispatch) => boolean;
  /** Picks a variant of a product; absent: the default one. Products of one key have the same fastest variant. */
  readonly choose?: (key: string, variants: readonly Variant[]) => Variant | undefined;
}

/** Whether kernels that do something together can be used on a target. */
export const areAdmitted = (dispatches: readonly Dispatch[], { admits }: Target): boolean =>
  admits === undefined || dispatches.every(admits);

/** A way to compute a product. */
export interface Variant {
  readonly name: string;
  readonly dispatches: readonly Dispatch[];
}

/** Subgroup matrices with f16 factors [m, k] and [k, n], and f32 sums [m, n]. */
export interface Matrices {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  /** Threads of a subgroup: as many as kernels ask for, else at most. A workgroup is a multiple of it. */
  readonly subgroup: number;
}

/** Where a call's operands live. */
export interface Operands {
  readonly target: Target;
  of(value: Value): Region;
  /** The type a value's elements are stored in. */
  typeOf(value: Value): DType;
  /** The working room this lowering asked for in `workspaceBytes`. */
  readonly workspace: Region;
}

/** The code of one op on this device. */
export interface Lowering {
  lower(call: Call, at: Operands): Dispatch[];
  workspaceBytes?(call: Call, target: Target): number;
}

/** The number by which kernels know a weight's element type (kernels/linear.wgsl). */
const DTYPES: Partial<Record<DType, number>> = { f32: 0, bf16: 1, f16: 2 };

export function dtypeCode(value: Value, at: Operands): number {
  const dtype = at.typeOf(value);
  const code = DTYPES[dtype];
  if (code === undefined) throw new Error(`Kernels cannot multiply by ${dtype} ${value.name}`);
  return code;
}

/** The type of a float operand that kernels name by an alias; f32 for an absent one. */
export function floatType(value: Value | null | undefined, at: Operands): FloatType {
  if (!value) return 'f32';
  const dtype = at.typeOf(value);
  if (dtype !== 'f32' && dtype !== 'f16')
    throw new Error(`Kernels cannot compute with ${dtype} ${value.name}`);
  return dtype;
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
