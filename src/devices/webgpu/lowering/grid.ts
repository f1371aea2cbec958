import type { Operands } from './lowering.js';

/** THREADS of the kernels that are launched on these grids. */
const THREADS = 256;

/** A grid of one thread for each of `count` elements, or as large as it may be: kernels go through the rest in steps. */
export const elementGrid = (count: number, at: Operands): [number, number] => [
  Math.min(Math.ceil(count / THREADS), at.target.groups),
  1,
];

/** A grid of one workgroup for each of `count` rows, or as large as it may be, as above. */
export const rowGrid = (count: number, at: Operands): [number, number] => [
  Math.min(count, at.target.groups),
  1,
];

/** Elements of a row that a thread takes, at least: barriers cost more than steps. */
const ROW_STEPS = 8;
const FEWEST_THREADS = 32;

/** The power of two of threads that work on one row of `width` elements: THREADS of kernels that reduce rows. */
export function rowThreads(width: number): number {
  const fitting = 2 ** Math.ceil(Math.log2(Math.max(1, width / ROW_STEPS)));
  return Math.min(THREADS, Math.max(FEWEST_THREADS, fitting));
}
