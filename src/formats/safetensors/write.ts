import { publishFile, publishStream } from '../checkpointFiles.js';
import type { TensorSource } from '../tensors/source.js';
import { bytesOf, layOut, type SafetensorsDtype, type TensorType } from './header.js';

/** A tensor to be written; `data` holds exactly its elements, in this machine's (little-endian) byte order. */
export interface TensorData {
  dtype: SafetensorsDtype;
  shape: readonly number[];
  data: ArrayBufferView;
}

type Metadata = Readonly<Record<string, string>>;

/**
 * Writes tensors that are in memory to a safetensors file, whose bytes depend on the tensors and the metadata alone.
 * @throws RangeError when a tensor's data does not have the size of its shape
 */
export function writeSafetensors(
  path: string,
  tensors: ReadonlyMap<string, TensorData>,
  metadata: Metadata = {},
): void {
  const { header, inOrder } = layOut(
    [...tensors].map(([name, tensor]) => ({ name, ...tensor })),
    metadata,
  );
  for (const tensor of inOrder) expectSize(tensor, tensor.data.byteLength);
  const data = inOrder.map(({ data: view }) => new Uint8Array(view.buffer, view.byteOffset, view.byteLength));
  publishFile(path, [...header, ...data]);
}

/**
 * Writes the same file from sources, chunk by chunk. When one of them fails there is no file, or the one that was there.
 * @throws RangeError when two tensors have one name, or a source gives another number of elements than its shape says
 */
export async function streamSafetensors(
  path: string,
  sources: Iterable<TensorSource>,
  metadata: Metadata = {},
): Promise<void> {
  const { header, inOrder } = layOut([...sources], metadata);
  const names = inOrder.map(({ name }) => name).sort();
  const twice = names.find((name, i) => name === names[i + 1]);
  if (twice !== undefined) throw new RangeError(`expected one tensor ${twice}, found two`);
  await publishStream(path, partsOf(header, inOrder));
}

async function* partsOf(
  header: readonly Uint8Array[],
  sources: readonly TensorSource[],
): AsyncGenerator<Uint8Array> {
  yield* header;
  for (const source of sources) {
    let size = 0;
    for await (const { bytes } of source.read()) {
      size += bytes.length;
      yield bytes;
    }
    expectSize(source, size);
  }
}

function expectSize({ name, dtype, shape }: TensorType, size: number): void {
  const expected = bytesOf({ dtype, shape });
  if (size === expected) return;
  throw new RangeError(`tensor ${name}: expected ${expected} bytes (${dtype} [${shape}]), found ${size}`);
}
