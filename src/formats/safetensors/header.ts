import { z } from 'zod';
import { excerpt, InputError } from '../../base/errors.js';

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

/** Elements of a tensor of that shape; one for a scalar. */
export const lengthOf = ({ shape }: Pick<TensorType, 'shape'>): number =>
  shape.reduce((product, size) => product * size, 1);

/** Bytes of a tensor's elements. */
export const bytesOf = (type: Pick<TensorType, 'dtype' | 'shape'>): number =>
  lengthOf(type) * DTYPE_BYTES[type.dtype];

/** What a header says of a tensor. */
export interface TensorType {
  readonly name: string;
  readonly dtype: SafetensorsDtype;
  readonly shape: readonly number[];
}

/** Where a tensor lies on the disk. */
export interface TensorInfo extends TensorType {
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

/** The header's length in bytes; the upper bound is that of the reference implementation. */
const MAX_HEADER_BYTES = 100_000_000;
export const LENGTH_BYTES = 8;

const natural = z.int().min(0);
const headerEntry = z.strictObject({
  dtype: z.string(),
  shape: z.array(natural),
  data_offsets: z.tuple([natural, natural]),
});
const headerMetadata = z.record(z.string(), z.string());

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
  const expectedBytes = bytesOf({ dtype, shape });
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

export function damaged(path: string, byteOffset: number, problem: string): InputError {
  return new InputError(`${path}: byte ${byteOffset}: ${problem}; fetch or write the file again`);
}

/**
 * The first bytes of a file: the header's length and the header. The same tensors and metadata give the same bytes:
 * tensors are sorted by name (wide dtypes first, which keeps every tensor aligned), metadata by key.
 * @returns those bytes, and the tensors in the order in which theirs follow
 */
export function layOut<T extends TensorType>(
  tensors: readonly T[],
  metadata: Readonly<Record<string, string>>,
): { readonly header: Uint8Array[]; readonly inOrder: readonly T[] } {
  const inOrder = tensors.toSorted(
    (a, b) => DTYPE_BYTES[b.dtype] - DTYPE_BYTES[a.dtype] || (a.name < b.name ? -1 : 1),
  );
  const keys = Object.keys(metadata).sort();
  const fields: string[] = [];
  const field = (name: string, value: unknown) =>
    fields.push(`${JSON.stringify(name)}:${JSON.stringify(value)}`);
  if (keys.length > 0) field('__metadata__', Object.fromEntries(keys.map((key) => [key, metadata[key]])));
  let end = 0;
  for (const { name, dtype, shape } of inOrder) {
    const begin = end;
    end += bytesOf({ dtype, shape });
    field(name, { dtype, shape, data_offsets: [begin, end] });
  }
  return { header: headerBytes(`{${fields.join(',')}}`), inOrder };
}

function headerBytes(json: string): Uint8Array[] {
  const text = new TextEncoder().encode(json);
  const header = new Uint8Array(Math.ceil(text.length / 8) * 8).fill(0x20);
  header.set(text);
  const length = new Uint8Array(LENGTH_BYTES);
  new DataView(length.buffer).setBigUint64(0, BigInt(header.length), true);
  return [length, header];
}
