import { Readable, type Transform } from 'node:stream';
import * as zlib from 'node:zlib';
import { Decompress, decompress } from 'fzstd';
import xxhash from 'xxhash-wasm';
import type { Chunks, ContentChunk } from './bytes.js';
import type { Restart } from './position.js';
import { Problem } from './problems.js';

/** Node has zstd since 22.15 and 23.8; before, fzstd stands in for it. */
interface NativeZstd {
  readonly createZstdDecompress?: (options: { chunkSize: number }) => Transform;
  readonly zstdDecompressSync?: (bytes: Uint8Array, options: { maxOutputLength: number }) => Buffer;
}

const { createZstdDecompress, zstdDecompressSync } = zlib as NativeZstd;

const OUTPUT_BYTES = 2 ** 18;
const MAGIC = 0xfd2fb528;
const SKIPPABLE = 0x184d2a50;
const HEADER_BYTES = 18;
const BLOCK_HEADER_BYTES = 3;
const BLOCK_BYTES = 2 ** 17;
const CHECKSUM_BYTES = 4;
/** What libzstd allows, too, unless told otherwise. */
const MOST_WINDOW_BYTES = 2 ** 27;

/** Of a frame (RFC 8878, 3.1.1.1). */
interface FrameHeader {
  readonly bytes: number;
  readonly windowBytes: number;
  readonly contentBytes: number | undefined;
  readonly hasChecksum: boolean;
}

/** What a zstd file holds, from a frame on: many tools write a single one, others (pzstd, seekable files) many. */
export async function* unzstd(chunks: Chunks, restart: Restart): AsyncGenerator<ContentChunk> {
  let { at, before } = restart;
  for (let head = await chunks.from(at, 4); head.length > 0; head = await chunks.from(at, 4)) {
    const magic = head.length < 4 ? undefined : head.readUInt32LE();
    if (magic !== undefined && (magic & ~15) >>> 0 === SKIPPABLE) {
      at += 8 + (await needed(chunks, at, at, 8)).readUInt32LE(4);
      if (at > chunks.file.size) throw cut(at);
      continue;
    }
    if (magic !== MAGIC) throw damaged(at, head.length < 4 ? 'the end of the file' : 'other bytes');
    const frame: Restart = { at, before };
    const header = frameHeader(await chunks.from(at, HEADER_BYTES), at);
    const raw = new RawFrame(chunks, at, header);
    for await (const bytes of decoded(raw, header)) {
      before += bytes.length;
      yield { bytes, restart: frame };
    }
    at = raw.end;
  }
}

/** One frame's bytes, which end where its last block says: so the next frame is found, and a cut file is told. */
class RawFrame {
  /** Once read: where the next frame starts. */
  end = 0;
  readonly start: number;
  readonly #chunks: Chunks;
  readonly #header: FrameHeader;

  constructor(chunks: Chunks, start: number, header: FrameHeader) {
    this.#chunks = chunks;
    this.start = start;
    this.#header = header;
  }

  /**
   * Each part ends with the header of the next block: fzstd keeps what it is given for as long as the parts end where
   * blocks do.
   */
  async *read(): AsyncGenerator<Buffer> {
    const { bytes: headerBytes, hasChecksum } = this.#header;
    const tail = hasChecksum ? CHECKSUM_BYTES : 0;
    let at = this.start;
    let length = headerBytes + BLOCK_HEADER_BYTES;
    for (;;) {
      const part = await needed(this.#chunks, this.start, at, length);
      const word = part.readUIntLE(length - BLOCK_HEADER_BYTES, BLOCK_HEADER_BYTES);
      const [isLast, type, size] = [(word & 1) === 1, (word >> 1) & 3, word >>> 3];
      yield part;
      at += length;
      if (type === 3 || size > BLOCK_BYTES) throw damaged(this.start, `a broken block at byte ${at}`);
      const body = type === 1 ? 1 : size;
      if (isLast) {
        yield needed(this.#chunks, this.start, at, body + tail);
        this.end = at + body + tail;
        return;
      }
      length = body + BLOCK_HEADER_BYTES;
    }
  }
}

function frameHeader(bytes: Buffer, at: number): FrameHeader {
  const flags = bytes[4];
  if (flags === undefined) throw cut(at);
  const [sizeFlag, isSingle, dictionaryFlag] = [flags >> 6, (flags & 32) !== 0, flags & 3];
  if (flags & 8) throw damaged(at, 'a header of a later format');
  const dictionaryBytes = [0, 1, 2, 4][dictionaryFlag]!;
  const sizeBytes = [isSingle ? 1 : 0, 2, 4, 8][sizeFlag]!;
  const dictionaryAt = isSingle ? 5 : 6;
  const sizeAt = dictionaryAt + dictionaryBytes;
  if (bytes.length < sizeAt + sizeBytes) throw cut(at);
  if (bytes.subarray(dictionaryAt, sizeAt).some((byte) => byte !== 0)) {
    throw new Problem('expected zstd without a dictionary, found one that needs it; compress it again', {
      endsFile: true,
    });
  }
  const size = bytes.subarray(sizeAt, sizeAt + sizeBytes);
  const value = size.reduceRight((sum, byte) => sum * 256 + byte, 0);
  const contentBytes = sizeBytes === 0 ? undefined : value + (sizeFlag === 1 ? 256 : 0);
  const windowBytes = isSingle ? contentBytes! : windowOf(bytes[5]!);
  if (windowBytes > MOST_WINDOW_BYTES) {
    const found = `a frame that needs ${windowBytes} at byte ${at}`;
    throw new Problem(
      `expected zstd windows of at most ${MOST_WINDOW_BYTES} bytes, found ${found}; compress it without --long`,
      { endsFile: true },
    );
  }
  return { bytes: sizeAt + sizeBytes, windowBytes, contentBytes, hasChecksum: (flags & 4) !== 0 };
}

function windowOf(descriptor: number): number {
  const base = 2 ** (10 + (descriptor >> 3));
  return base + (base / 8) * (descriptor & 7);
}

async function needed(chunks: Chunks, frame: number, at: number, length: number): Promise<Buffer> {
  const bytes = await chunks.from(at, length);
  if (bytes.length < length) throw cut(frame);
  return bytes.subarray(0, length);
}

const decoded = (raw: RawFrame, header: FrameHeader): AsyncGenerator<Buffer> =>
  createZstdDecompress ? natively(raw, createZstdDecompress) : inJavaScript(raw, header);

async function* natively(
  raw: RawFrame,
  create: NonNullable<NativeZstd['createZstdDecompress']>,
): AsyncGenerator<Buffer> {
  const input = Readable.from(raw.read(), { objectMode: false });
  const output = create({ chunkSize: OUTPUT_BYTES });
  input.on('error', (error) => output.destroy(error));
  try {
    for await (const bytes of input.pipe(output)) yield bytes as Buffer;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw code?.startsWith('ZSTD_') ? damaged(raw.start, (error as Error).message) : error;
  } finally {
    input.destroy();
  }
}

/** Compiled once, where it is needed. */
let hashes: ReturnType<typeof xxhash> | undefined;

/** fzstd checks neither lengths nor checksums, so this does. */
async function* inJavaScript(raw: RawFrame, header: FrameHeader): AsyncGenerator<Buffer> {
  hashes ??= xxhash();
  const hash = (await hashes).create64();
  let length = 0;
  let last: Buffer = Buffer.alloc(0);
  let found: Buffer[] = [];
  const decoder = new Decompress((part) => {
    if (part.length === 0) return;
    hash.update(part);
    length += part.length;
    found.push(Buffer.from(part.buffer, part.byteOffset, part.length));
  });
  const decode = (bytes: Buffer, isLast: boolean): Buffer[] => {
    found = [];
    try {
      decoder.push(bytes, isLast);
    } catch (error) {
      throw damaged(raw.start, (error as Error).message);
    }
    return found;
  };
  for await (const bytes of raw.read()) {
    yield* decode(bytes, false);
    last = bytes;
  }
  yield* decode(Buffer.alloc(0), true);
  const isWhole = header.contentBytes === undefined || header.contentBytes === length;
  const isIntact =
    !header.hasChecksum ||
    BigInt(last.readUInt32LE(last.length - CHECKSUM_BYTES)) === (hash.digest() & 0xffffffffn);
  if (!isWhole || !isIntact) throw damaged(raw.start, 'a frame whose checksum or length is wrong');
}

/** All of one or more frames at once, as Parquet's pages are. @throws when damaged or not `length` bytes */
export function unzstdSync(bytes: Uint8Array, length: number): Uint8Array {
  if (zstdDecompressSync) return zstdDecompressSync(bytes, { maxOutputLength: length });
  return decompress(bytes, new Uint8Array(length));
}

const cut = (at: number): Problem =>
  new Problem(
    `expected the rest of the zstd frame that starts at byte ${at} of the file, found its end; fetch the file again`,
    { endsFile: true },
  );

const damaged = (at: number, found: string): Problem =>
  new Problem(`expected a zstd frame at byte ${at} of the file, found ${found}; fetch the file again`, {
    endsFile: true,
  });
