import { closeSync, existsSync, fstatSync, openSync, readSync } from 'node:fs';
import { basename, join } from 'node:path';
import { z } from 'zod';
import { excerpt, InputError } from '../base/errors.js';
import { publishFile } from './checkpointFiles.js';
import { bfloat16ToFloat32, float16ToFloat32 } from './float16.js';
import { readJsonFile, systemCode } from './json.js';

/**
 * The safetensors format: 8 bytes with the header's length (little-endian), a JSON header, then the tensors' bytes
 * (little-endian, row-major) back to back. Source: the format section of huggingface/safetensors' README.
 */

/** Bytes of an element. */
export const DTYPE_BYTES = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  F8_E5M2: 1,
  F8_E4M3: 1,
  F8_E8M0: 1,
  U16: 2,
  I16: 2,
  F16: 2,
  BF16: 2,
  U32: 4,
  I32: 4,
  F32: 4,
  U64: 8,
  I64: 8,
  F64: 8,
  C64: 8,
} as const;

export type SafetensorsDtype = keyof typeof DTYPE_BYTES;

/** Where a tensor lies on the disk. */
export interface TensorInfo {
  name: string;
  dtype: SafetensorsDtype;
  shape: readonly number[];
  path: string;
  /** From the start of the file. */
  byteOffset: number;
  byteLength: number;
}

export interface SafetensorsFile {
  path: string;
  tensors: Map<string, TensorInfo>;
  metadata: Record<string, string>;
}

/** A tensor to be written; `data` holds exactly its elements, in this machine's (little-endian) byte order. */
export interface TensorData {
  dtype: SafetensorsDtype;
  shape: readonly number[];
  data: ArrayBufferView;
}

/** The header's length in bytes; the upper bound is that of the reference implementation. */
const MAX_HEADER_BYTES = 100_000_000;
export const LENGTH_BYTES = 8;
/** No file system has longer ones. */
const MAX_FILE_NAME = 255;
const DEFAULT_CHUNK_BYTES = 4 * 1024 * 1024;

const natural = z.int().min(0);
const headerEntry = z.strictObject({
  dtype: z.string(),
  shape: z.array(natural),
  data_offsets: z.tuple([natural, natural]),
});
const headerMetadata = z.record(z.string(), z.string());

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
 * Checks the header of a safetensors file that was read by other means.
 * @param header the bytes after the first 8, as many as `headerLength` says
 * @throws InputError as `openSafetensors` does
 */
export function parseSafetensors(path: string, header: Uint8Array, fileBytes: number): SafetensorsFile {
  const { __metadata__: metadata = {}, ...entries } = parseHeader(path, decodeHeader(path, header));
  const dataStart = LENGTH_BYTES + header.length;
  const tensors = Object.entries(entries).map(([name, entry]) => tensorInfo(path, name, entry, dataStart));
  checkCoverage(path, tensors, dataStart, fileBytes);
  return {
    path,
    tensors: new Map(tensors.map((info) => [info.name, info])),
    metadata: checkMetadata(path, metadata),
  };
}

/** @param start the first 8 bytes of the file. @throws InputError when no header of that length can follow */
export function headerLength(path: string, start: Uint8Array, fileBytes: number): number {
  if (start.length < LENGTH_BYTES) {
    throw damaged(path, 0, `expected at least ${LENGTH_BYTES} bytes, found ${fileBytes}`);
  }
  const length = new DataView(start.buffer, start.byteOffset).getBigUint64(0, true);
  if (length < 2n || length > BigInt(MAX_HEADER_BYTES)) {
    throw damaged(path, 0, `expected a header length from 2 to ${MAX_HEADER_BYTES}, found ${length}`);
  }
  if (length > BigInt(fileBytes - LENGTH_BYTES)) {
    throw damaged(path, 0, `expected a header of ${length} bytes, found a file of ${fileBytes} bytes`);
  }
  return Number(length);
}

function decodeHeader(path: string, bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw damaged(path, LENGTH_BYTES, 'expected a header in UTF-8, found other bytes');
  }
}

function parseHeader(path: string, text: string): Record<string, unknown> {
  let header: unknown;
  try {
    header = JSON.parse(text);
  } catch (error) {
    throw damaged(path, LENGTH_BYTES, `expected a header in JSON, found ${(error as Error).message}`);
  }
  if (typeof header !== 'object' || header === null || Array.isArray(header)) {
    throw damaged(path, LENGTH_BYTES, 'expected a JSON object as the header, found another value');
  }
  return header as Record<string, unknown>;
}

function checkMetadata(path: string, metadata: unknown): Record<string, string> {
  const checked = headerMetadata.safeParse(metadata);
  if (!checked.success) {
    throw damaged(path, LENGTH_BYTES, 'expected __metadata__ to map names to strings, found another value');
  }
  return checked.data;
}

function tensorInfo(path: string, name: string, entry: unknown, dataStart: number): TensorInfo {
  const checked = headerEntry.safeParse(entry);
  if (!checked.success) {
    const problem = checked.error.issues[0]!;
    throw damaged(
      path,
      LENGTH_BYTES,
      `tensor ${name}: ${problem.path.join('.') || 'entry'}: ${problem.message}`,
    );
  }
  const { shape } = checked.data;
  const [begin, end] = checked.data.data_offsets;
  const dtype = checkDtype(path, name, checked.data.dtype);
  const expectedBytes = shape.reduce((product, size) => product * size, DTYPE_BYTES[dtype]);
  if (end - begin !== expectedBytes) {
    const expected = `${expectedBytes} bytes (${dtype} [${shape}])`;
    throw damaged(path, dataStart + begin, `tensor ${name}: expected ${expected}, found ${end - begin}`);
  }
  return { name, dtype, shape, path, byteOffset: dataStart + begin, byteLength: end - begin };
}

function checkDtype(path: string, name: string, dtype: string): SafetensorsDtype {
  if (Object.hasOwn(DTYPE_BYTES, dtype)) return dtype as SafetensorsDtype;
  const known = Object.keys(DTYPE_BYTES).join(', ');
  throw new InputError(
    `${path}: byte ${LENGTH_BYTES}: tensor ${name}: expected a dtype of ${known}, found ${excerpt(dtype)}; convert it`,
  );
}

/** The tensors lie back to back from the start of the data to the end of the file. */
function checkCoverage(path: string, tensors: TensorInfo[], dataStart: number, fileBytes: number): void {
  let end = dataStart;
  // A tensor without elements may share its offset with the next one: it comes first.
  const inOrder = tensors.toSorted((a, b) => a.byteOffset - b.byteOffset || a.byteLength - b.byteLength);
  for (const { name, byteOffset, byteLength } of inOrder) {
    if (byteOffset !== end) {
      const found =
        byteOffset < end ? 'an overlap with the one before' : `a hole of ${byteOffset - end} bytes`;
      throw damaged(
        path,
        Math.min(end, byteOffset),
        `expected tensor ${name} at byte ${end}, found ${found}`,
      );
    }
    end += byteLength;
  }
  if (end !== fileBytes)
    throw damaged(path, Math.min(end, fileBytes), `expected ${end} bytes, found ${fileBytes}`);
}

function damaged(path: string, byteOffset: number, problem: string): InputError {
  return new InputError(`${path}: byte ${byteOffset}: ${problem}; fetch or write the file again`);
}

/**
 * The chunk buffer, kept between reads because a model has hundreds of tensors and fresh buffers would pile up until
 * the next garbage collection. It is taken away while in use, so that a nested read gets one of its own.
 */
let idleChunk = new Uint8Array(0);

/**
 * Streams a tensor's bytes from the disk through one reused buffer.
 * @param consume takes a chunk (valid during the call only; it starts at an 8-byte boundary of its buffer) and its
 * byte offset inside the tensor
 * @param chunkBytes size of the chunks, the last one excepted; a multiple of 8, so that no element is cut
 * @throws InputError when the file ends early
 */
export function readTensor(
  info: TensorInfo,
  consume: (chunk: Uint8Array, byteOffset: number) => void,
  chunkBytes = DEFAULT_CHUNK_BYTES,
): void {
  if (chunkBytes < 8 || chunkBytes % 8 !== 0) {
    throw new RangeError(`expected chunkBytes to be a positive multiple of 8, found ${chunkBytes}`);
  }
  const buffer = idleChunk.length >= chunkBytes ? idleChunk : new Uint8Array(chunkBytes);
  idleChunk = new Uint8Array(0);
  try {
    withFile(info.path, (file) => {
      for (let done = 0; done < info.byteLength; done += chunkBytes) {
        const chunk = buffer.subarray(0, Math.min(chunkBytes, info.byteLength - done));
        readWhole(info.path, file, chunk, info.byteOffset + done);
        consume(chunk, done);
      }
    });
  } finally {
    idleChunk = buffer;
  }
}

/**
 * A whole tensor as float32, converted exactly.
 * @throws InputError when its dtype is not F32, F16 or BF16
 */
export function readFloat32(info: TensorInfo): Float32Array {
  const { name, dtype, path, byteOffset } = info;
  if (dtype !== 'F32' && dtype !== 'F16' && dtype !== 'BF16') {
    throw new InputError(
      `${path}: byte ${byteOffset}: tensor ${name}: expected F32, F16 or BF16, found ${dtype}; convert it`,
    );
  }
  const elementBytes = DTYPE_BYTES[dtype];
  const result = new Float32Array(info.byteLength / elementBytes);
  const resultBytes = new Uint8Array(result.buffer);
  const widen = dtype === 'F16' ? float16ToFloat32 : bfloat16ToFloat32;
  readTensor(info, (chunk, offset) => {
    if (dtype === 'F32') return resultBytes.set(chunk, offset);
    const halves = new Uint16Array(chunk.buffer, chunk.byteOffset, chunk.length / elementBytes);
    const first = offset / elementBytes;
    return widen(halves, result.subarray(first, first + halves.length));
  });
  return result;
}

const shardIndex = z.looseObject({ weight_map: z.record(z.string(), z.string()) });

/**
 * The tensors of a model folder: `model.safetensors`, or the shards that `model.safetensors.index.json` names.
 * @throws InputError when neither is there, a shard is damaged, or lacks a tensor that the index puts into it
 */
export function openModelWeights(folder: string): Map<string, TensorInfo> {
  const single = join(folder, 'model.safetensors');
  if (existsSync(single)) return openSafetensors(single).tensors;
  const index = join(folder, 'model.safetensors.index.json');
  if (existsSync(index)) return openShards(folder, index);
  throw new InputError(
    `${folder}: expected model.safetensors or model.safetensors.index.json, found neither; ` +
      'give a model folder with weights in safetensors form',
  );
}

/**
 * The files that an index of shards names, each once.
 * @throws InputError when one is not a plain file name: shards lie beside the index
 */
export const shardFiles = (index: string): string[] => [
  ...new Set(placementOf(index).map(([, file]) => file)),
];

/** [tensor, file] for every tensor of an index. */
function placementOf(index: string): [tensor: string, file: string][] {
  const placement = Object.entries(readJsonFile(index, shardIndex).weight_map);
  const outside = placement.find(([, file]) => basename(file) !== file || file.length > MAX_FILE_NAME);
  if (outside) {
    throw new InputError(
      `${index}: weight_map.${outside[0]}: expected the name of a file in this folder, found ${excerpt(outside[1])}`,
    );
  }
  return placement;
}

function openShards(folder: string, index: string): Map<string, TensorInfo> {
  const placement = placementOf(index);
  const files = new Set(placement.map(([, file]) => file));
  const shards = new Map([...files].map((file) => [file, openSafetensors(join(folder, file)).tensors]));
  const absent = placement.filter(([name, file]) => !shards.get(file)!.has(name));
  if (absent.length > 0) {
    const list = absent.map(([name, file]) => `${name} in ${file}`).join(', ');
    throw new InputError(`${index}: expected ${list}, found no such tensor; fetch the shards again`);
  }
  return new Map(placement.map(([name, file]) => [name, shards.get(file)!.get(name)!]));
}

/**
 * Writes a safetensors file. The same tensors and metadata give the same bytes: tensors are sorted by name (wide
 * dtypes first, which keeps every tensor aligned), metadata by key.
 * @throws RangeError when a tensor's data does not have the size of its shape
 */
export function writeSafetensors(
  path: string,
  tensors: ReadonlyMap<string, TensorData>,
  metadata: Readonly<Record<string, string>> = {},
): void {
  const inOrder = [...tensors].sort(
    ([nameA, a], [nameB, b]) => DTYPE_BYTES[b.dtype] - DTYPE_BYTES[a.dtype] || (nameA < nameB ? -1 : 1),
  );
  const keys = Object.keys(metadata).sort();
  const fields: string[] = [];
  const field = (name: string, value: unknown) =>
    fields.push(`${JSON.stringify(name)}:${JSON.stringify(value)}`);
  if (keys.length > 0) field('__metadata__', Object.fromEntries(keys.map((key) => [key, metadata[key]])));
  let end = 0;
  for (const [name, { dtype, shape, data }] of inOrder) {
    const expectedBytes = shape.reduce((product, size) => product * size, DTYPE_BYTES[dtype]);
    if (data.byteLength !== expectedBytes) {
      const expected = `${expectedBytes} bytes (${dtype} [${shape}])`;
      throw new RangeError(`tensor ${name}: expected ${expected}, found ${data.byteLength}`);
    }
    field(name, { dtype, shape, data_offsets: [end, end + expectedBytes] });
    end += expectedBytes;
  }
  const data = inOrder.map(([, tensor]) => bytesOf(tensor.data));
  publishFile(path, [...headerBytes(`{${fields.join(',')}}`), ...data]);
}

function headerBytes(json: string): Uint8Array[] {
  const text = new TextEncoder().encode(json);
  const header = new Uint8Array(Math.ceil(text.length / 8) * 8).fill(0x20);
  header.set(text);
  const length = new Uint8Array(LENGTH_BYTES);
  new DataView(length.buffer).setBigUint64(0, BigInt(header.length), true);
  return [length, header];
}

function bytesOf(view: ArrayBufferView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

function withFile<T>(path: string, use: (file: number) => T): T {
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch (error) {
    throw new InputError(
      `${path}: expected a safetensors file, could not open one (${systemCode(error)}); check the path`,
    );
  }
  try {
    if (!fstatSync(file).isFile()) {
      throw new InputError(`${path}: expected a safetensors file, found something else; check the path`);
    }
    return use(file);
  } finally {
    closeSync(file);
  }
}

function readWhole(path: string, file: number, target: Uint8Array, byteOffset: number): void {
  for (let done = 0; done < target.length; ) {
    const count = readSync(file, target, done, target.length - done, byteOffset + done);
    if (count === 0)
      throw damaged(path, byteOffset + done, `expected ${target.length - done} more bytes, found the end`);
    done += count;
  }
}
