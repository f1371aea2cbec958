import { InputError } from '../base/errors.js';
import {
  DTYPE_BYTES,
  headerLength,
  LENGTH_BYTES,
  lengthOf,
  parseSafetensors,
  type TensorInfo,
} from '../formats/safetensors.js';
import { chunkRanges, type TensorSource } from '../formats/tensors/source.js';
import type { RemoteBytes } from './remoteFile.js';

/**
 * The tensors of a safetensors file on the Hub, read where they are, in ranges: its header now, each tensor when it is
 * wanted.
 * @throws InputError when the file is damaged, and whatever `RemoteBytes.read` throws
 */
export async function remoteTensors(file: RemoteBytes): Promise<Map<string, TensorSource>> {
  const tensors = await remoteHeader(file);
  return new Map([...tensors].map(([name, info]) => [name, remoteSource(file, info)]));
}

/** What the header says of the tensors of a safetensors file on the Hub; nothing else of it is read. @throws as `remoteTensors` */
export async function remoteHeader(file: RemoteBytes): Promise<Map<string, TensorInfo>> {
  const start = await file.read(0, Math.min(LENGTH_BYTES, file.size));
  const header = await readWhole(file, LENGTH_BYTES, headerLength(file.name, start, file.size));
  return parseSafetensors(file.name, header, file.size).tensors;
}

function remoteSource(file: RemoteBytes, info: TensorInfo): TensorSource {
  const { name, dtype, shape, path, byteOffset } = info;
  const width = DTYPE_BYTES[dtype];
  return {
    name,
    dtype,
    shape,
    origin: path,
    async *read(from = 0, to = lengthOf(info)) {
      for (const { first, count } of chunkRanges(info, from, to)) {
        const bytes = await readWhole(file, byteOffset + first * width, count * width);
        yield { first, bytes: bytes.byteOffset % width === 0 ? bytes : new Uint8Array(bytes) };
      }
    },
  };
}

async function readWhole(file: RemoteBytes, offset: number, length: number): Promise<Uint8Array> {
  const bytes = await file.read(offset, length);
  if (bytes.length === length) return bytes;
  throw new InputError(
    `${file.name}: byte ${offset}: expected ${length} bytes, found ${bytes.length}; fetch or write the file again`,
  );
}
