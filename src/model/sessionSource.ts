import type { Session } from '../devices/device.js';
import { asBytes, type FloatDtype } from '../formats/tensors/floats.js';
import { chunkRanges, type TensorSource } from '../formats/tensors/source.js';
import { elementCount, type Value } from '../program/types.js';

const DTYPES: Partial<Record<Value['dtype'], FloatDtype>> = { f32: 'F32', f16: 'F16', bf16: 'BF16' };

/** A value of a session, as it is when it is read, chunk by chunk: between replays of programs that change it. */
export function sessionSource(session: Session, value: Value, name: string): TensorSource {
  const type = { name, dtype: DTYPES[value.dtype]!, shape: value.shape };
  return {
    ...type,
    origin: 'the session',
    async *read(from = 0, to = elementCount(value.shape)) {
      for (const { first, count } of chunkRanges(type, from, to)) {
        yield { first, bytes: asBytes(await session.read(value, first, count)) };
      }
    },
  };
}

/** Values of a session by the names of files, in the order of the map. */
export const sessionSources = (session: Session, values: ReadonlyMap<string, Value>): TensorSource[] =>
  [...values].map(([name, value]) => sessionSource(session, value, name));
