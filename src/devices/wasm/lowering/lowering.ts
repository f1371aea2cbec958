import type { Call, DType, Value } from '../../../program/types.js';

/**
 * One kernel of assembly/, run by all threads: they take tile numbers 0 .. tiles - 1 from a shared counter, call
 * `kernel(tile, scratch, ...args)` for each, and meet at a barrier. Tiles depend on shapes only and write disjoint
 * storage, so neither the number of threads nor timing changes a bit.
 */
export interface KernelCall {
  readonly kernel: string;
  readonly tiles: number;
  /** Pointers, sizes and constants after `tile` and `scratch`. */
  readonly args: readonly number[];
  /** Next to nothing of the op's operations are its own. */
  readonly isSmall?: boolean;
}

/** Where a call's operands live, in bytes from the start of the session's memory; 0 for an absent one. */
export interface Addresses {
  of(value: Value | null | undefined): number;
  /** The working room this lowering asked for in `workspaceBytes`. */
  readonly workspace: number;
}

/** The code of one op on this device. */
export interface Lowering {
  lower(call: Call, at: Addresses): KernelCall[];
  /** Bytes shared by all threads during the call. */
  workspaceBytes?(call: Call): number;
  /** Bytes private to each thread during a tile. */
  scratchBytes?(call: Call): number;
}

const DTYPES: Partial<Record<DType, number>> = { f32: 0, bf16: 1, f16: 2 };

/** The number by which kernels know a weight's element type (assembly/simd.ts). */
export function dtypeCode(value: Value | null | undefined): number {
  const code = value ? DTYPES[value.dtype] : 0;
  if (code === undefined) throw new Error(`Kernels cannot multiply by ${value?.dtype} ${value?.name}`);
  return code;
}

export const tileCount = (size: number, tile: number): number => Math.ceil(size / tile);
