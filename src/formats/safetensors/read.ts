import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { InputError } from '../../base/errors.js';
import { systemCode } from '../json.js';
import { isFloat, notFloat, toFloat32 } from '../tensors/floats.js';
import { chunkRanges, type TensorChunk } from '../tensors/source.js';
import {
  DTYPE_BYTES,
  damaged,
  headerLength,
  LENGTH_BYTES,
  lengthOf,
  parseSafetensors,
  type SafetensorsFile,
  type TensorInfo,
} from './header.js';

/**
 * Reads and checks the header of a safetensors file; no tensor is read.
 * @throws InputError with path and byte offset when the file is truncated, its header malformed, or its tensors do
 * not cover its data exactly once
 */
export function openSafetensors(path: string): SafetensorsFile {
  return withFile(path, (file) => {
    const fileBytes = fstatSync(file).size;
    const start = new Uint8Array(Math.min(LENGTH_BYTES, fileBytes));
    readWhole(path, file, start, 0);
    const header = new Uint8Array(headerLength(path, start, fileBytes));
    readWhole(path, file, header, LENGTH_BYTES);
    return parseSafetensors(path, header, fileBytes);
  });
}

/**
 * The chunk buffer, kept between reads because a model has hundreds of tensors and fresh buffers would pile up until
 * the next garbage collection. It is taken away while in use, so that a nested read gets one of its own.
 */
let idleBuffer = new Uint8Array(0);

/**
 * Reads elements `from` to `to` of a tensor from the disk, in order, through one reused buffer.
 * @throws InputError when the file ends early, RangeError when the tensor has no such elements
 */
export function* tensorChunks(info: TensorInfo, from = 0, to = lengthOf(info)): Generator<TensorChunk> {
  const width = DTYPE_BYTES[info.dtype];
  const ranges = chunkRanges(info, from, to);
  const size = Math.max(0, ...ranges.slice(0, 1).map(({ count }) => count * width));
  const buffer = idleBuffer.length >= size ? idleBuffer : new Uint8Array(size);
  idleBuffer = new Uint8Array(0);
  const file = openFile(info.path);
  try {
    for (const { first, count } of ranges) {
      const bytes = buffer.subarray(0, count * width);
      readWhole(info.path, file, bytes, info.byteOffset + first * width);
      yield { first, bytes };
    }
  } finally {
    closeSync(file);
    idleBuffer = buffer;
  }
}

/**
 * A whole tensor as float32, converted exactly.
 * @throws InputError when its dtype is not F32, F16 or BF16
 */
export function readFloat32(info: TensorInfo): Float32Array {
  const { dtype } = info;
  if (!isFloat(dtype)) throw notFloat({ ...info, origin: info.path });
  const result = new Float32Array(lengthOf(info));
  for (const { first, bytes } of tensorChunks(info)) result.set(toFloat32(dtype, bytes), first);
  return result;
}

function withFile<T>(path: string, use: (file: number) => T): T {
  const file = openFile(path);
  try {
    return use(file);
  } finally {
    closeSync(file);
  }
}

function openFile(path: string): number {
  let file: number | undefined;
  try {
    file = openSync(path, 'r');
    if (fstatSync(file).isFile()) return file;
  } catch (error) {
    throw new InputError(
      `${path}: expected a safetensors file, could not open one (${systemCode(error)}); check the path`,
    );
  }
  closeSync(file);
  throw new InputError(`${path}: expected a safetensors file, found something else; check the path`);
}

function readWhole(path: string, file: number, target: Uint8Array, byteOffset: number): void {
  for (let done = 0; done < target.length; ) {
    const count = readSync(file, target, done, target.length - done, byteOffset + done);
    if (count === 0)
      throw damaged(path, byteOffset + done, `expected ${target.length - done} more bytes, found the end`);
    done += count;
  }
}
