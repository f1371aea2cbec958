export { bidiagonalise } from './bidiagonal';
export { applyReflectors, factorQr } from './reflectors';

/** The first byte that is free. */
export function heapBase(): usize {
  return __heap_base;
}
