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
