import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { parquetWriteBuffer } from 'hyparquet-writer';
import * as assert from 'uvu/assert';
import xxhash from 'xxhash-wasm';
import {
  BadDocument,
  type Document,
  type DocumentOptions,
  type DocumentSource,
  openDocuments,
  type Place,
} from '#src/data/documents.js';
import { inputErrorOf } from '../../inputErrors.js';
import { temporaryFolder } from '../../support.js';

/** A folder of text files, and ways to read them. */
export class Library {
  readonly folder: string;

  constructor(label: string) {
    this.folder = temporaryFolder(label);
  }

  /** @returns its path */
  put(name: string, content: string | Uint8Array): string {
    const path = join(this.folder, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content);
    return path;
  }
}

type Paths = string | readonly string[];
type Others = Omit<DocumentOptions, 'paths'>;

export const open = (paths: Paths, options: Others = {}): Promise<DocumentSource> =>
  openDocuments({ paths: [paths].flat(), ...options });

export interface TextDocument extends Document {
  readonly text: string;
}

/** All documents of an epoch, which hold text; what was skipped is put into `skipped`. */
export async function read(
  source: DocumentSource,
  place?: Place,
  skipped: string[] = [],
): Promise<TextDocument[]> {
  const found: TextDocument[] = [];
  for await (const item of source.read(place)) {
    if (item instanceof BadDocument) skipped.push(item.message);
    else found.push({ ...item, text: textOf(item) });
  }
  return found;
}

/** Of a document that holds text. */
export function textOf({ id, example }: Document): string {
  if (typeof example !== 'string') throw new Error(`${id} holds no text`);
  return example;
}

export const textsOf = async (paths: Paths, options?: Others): Promise<string[]> =>
  (await read(await open(paths, options))).map(({ text }) => text);

export const problemOf = (paths: Paths, options?: Others): Promise<string> =>
  inputErrorOf(async () => read(await open(paths, options)));

/** As a checkpoint has it. */
export const stored = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T;

/** Reading restarts at every document, or at every n-th. */
export async function assertRestarts(paths: Paths, options: Others = {}, every = 1): Promise<void> {
  const source = await open(paths, options);
  const found = await read(source);
  for (let i = 0; i < found.length; i += every) {
    assert.equal(await read(source, stored(found[i]!.place)), found.slice(i), `from document ${i}`);
  }
}

export const jsonl = (texts: readonly string[]): string =>
  texts.map((text) => `${JSON.stringify({ text })}\n`).join('');

const { create64 } = await xxhash();

interface FrameOptions {
  readonly checksum?: boolean;
  readonly contentSize?: boolean;
  /** Bytes of a block, at most 128 KiB. */
  readonly block?: number;
}

const WINDOW_OF_128_KIB = 7 << 3;

/**
 * A zstd frame that stores its content: blocks as they are, and those of one repeated byte as such. (What a compressor
 * writes is in tests/goldens/documents.)
 */
export function zstdFrame(content: Uint8Array, options: FrameOptions = {}): Buffer {
  const { checksum = true, contentSize = false, block = 2 ** 17 } = options;
  const flags = (contentSize ? 3 << 6 : 0) | (checksum ? 4 : 0);
  const parts: Buffer[] = [Buffer.from([0x28, 0xb5, 0x2f, 0xfd, flags, WINDOW_OF_128_KIB])];
  if (contentSize) parts.push(little(BigInt(content.length), 8));
  const count = Math.max(1, Math.ceil(content.length / block));
  for (let i = 0; i < count; i++) {
    const bytes = content.subarray(i * block, (i + 1) * block);
    const isRun = bytes.length > 1 && bytes.every((byte) => byte === bytes[0]);
    const header = (bytes.length << 3) | ((isRun ? 1 : 0) << 1) | (i + 1 === count ? 1 : 0);
    parts.push(little(BigInt(header), 3), Buffer.from(isRun ? bytes.subarray(0, 1) : bytes));
  }
  if (checksum) parts.push(little(create64().update(content).digest() & 0xffffffffn, 4));
  return Buffer.concat(parts);
}

export function skippableFrame(bytes: number): Buffer {
  return Buffer.concat([
    Buffer.from([0x5a, 0x2a, 0x4d, 0x18]),
    little(BigInt(bytes), 4),
    Buffer.alloc(bytes, 7),
  ]);
}

function little(value: bigint, bytes: number): Buffer {
  const word = Buffer.alloc(8);
  word.writeBigUInt64LE(value);
  return word.subarray(0, bytes);
}

/** Cuts content into parts and compresses each one by itself. */
export function compressed(
  kind: 'gz' | 'zst',
  content: string | Uint8Array,
  cuts: readonly number[] = [],
): Buffer {
  const bytes = Buffer.from(content as Uint8Array);
  const edges = [0, ...cuts.map((cut) => Math.min(cut, bytes.length)).sort((a, b) => a - b), bytes.length];
  const parts = edges.slice(1).map((end, i) => bytes.subarray(edges[i], end));
  return Buffer.concat(parts.map((part) => (kind === 'gz' ? gzipSync(part) : zstdFrame(part))));
}

export type ParquetOptions = Omit<Parameters<typeof parquetWriteBuffer>[0], 'columnData'>;

/** A Parquet file with columns `number` and `text`. */
export function parquet(texts: readonly (string | null)[], options: ParquetOptions = {}): Buffer {
  const columnData = [
    { name: 'number', data: texts.map((_, i) => i), type: 'INT32' as const },
    { name: 'text', data: [...texts], type: 'STRING' as const },
  ];
  return Buffer.from(parquetWriteBuffer({ columnData, ...options }));
}
