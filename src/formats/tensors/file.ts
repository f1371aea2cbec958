import type { TensorInfo } from '../safetensors/header.js';
import { tensorChunks } from '../safetensors/read.js';
import type { TensorSource } from './source.js';

/** A tensor of a safetensors file on the disk. The file is open while it is read, and only then. */
export function fileSource(info: TensorInfo): TensorSource {
  const { name, dtype, shape, path } = info;
  return {
    name,
    dtype,
    shape,
    origin: path,
    async *read(from, to) {
      yield* tensorChunks(info, from, to);
    },
  };
}
