import { type DType, elementCount, type Value } from '../program/types.js';
import type { HostArray } from './device.js';

const ARRAYS = {
  f32: Float32Array,
  u32: Uint32Array,
  i32: Int32Array,
  bf16: Uint16Array,
  f16: Uint16Array,
} as const satisfies Record<DType, unknown>;

/** Throws unless `data` is of the value's type and lies inside of it from element `offset` on. */
export function expectInside(value: Value, data: HostArray, offset: number): void {
  const length = elementCount(value.shape);
  const isInside = Number.isInteger(offset) && offset >= 0 && offset + data.length <= length;
  if (data instanceof ARRAYS[value.dtype] && isInside) return;
  const expected = `at most ${length} elements of ${value.dtype} in a ${ARRAYS[value.dtype].name}`;
  const found = `${data.length} in a ${data.constructor.name} from ${offset} on`;
  throw new Error(`write ${value.name}: expected ${expected}, found ${found}`);
}

/** Throws unless the value has elements `from` to `to`. */
export function expectRange(value: Value, from: number, to: number): void {
  const length = elementCount(value.shape);
  if (Number.isInteger(from) && Number.isInteger(to) && 0 <= from && from <= to && to <= length) return;
  throw new Error(`read ${value.name}: expected a range of its ${length} elements, found ${from} to ${to}`);
}

/** Elements of the value's type, which lie from byte `at` on (default: as many as the value has). */
export const asHostArray = (
  value: Value,
  bytes: ArrayBufferLike,
  at = 0,
  length = elementCount(value.shape),
): HostArray => new ARRAYS[value.dtype](bytes as ArrayBuffer, at, length);
