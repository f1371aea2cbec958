import { Readable } from 'node:stream';
import { crc32, createInflateRaw } from 'node:zlib';
import type { Chunks } from './bytes.js';
import type { ContentChunk } from './content.js';
import type { Restart } from './position.js';
import { Problem } from './problems.js';

const INPUT_BYTES = 2 ** 16;
const OUTPUT_BYTES = 2 ** 18;
const TRAILER_BYTES = 8;
const [HEADER_CRC, EXTRA, NAME, COMMENT] = [2, 4, 8, 16];

/**
 * What a gzip file holds, from a member on: most files are one member, those that can be read in parts (bgzip,
 * concatenations) are many. Lengths and CRCs are checked at the end of each.
 */
export async function* gunzip(chunks: Chunks, restart: Restart): AsyncGenerator<ContentChunk> {
  let { at, before } = restart;
  for (let head = await chunks.from(at); head.length > 0; head = await chunks.from(at)) {
    // Some writers fill the last block of a file or tape with zeros.
    if (at > 0 && head.every((byte) => byte === 0)) {
      at += head.length;
      continue;
    }
    const member = { at, before };
    const deflated = at + (await headerBytes(chunks, at));
    const inflate = createInflateRaw({ chunkSize: OUTPUT_BYTES });
    let [crc, length] = [0, 0];
    for await (const bytes of inflated(inflate, compressed(chunks, deflated), at)) {
      crc = crc32(bytes, crc);
      length += bytes.length;
      yield { bytes, restart: member };
    }
    const end = deflated + inflate.bytesWritten;
    const trailer = await chunks.from(end, TRAILER_BYTES);
    if (trailer.length < TRAILER_BYTES) throw cut(end);
    if (trailer.readUInt32LE(0) !== crc || trailer.readUInt32LE(4) !== length % 2 ** 32) {
      throw damaged(at, 'a member whose CRC or length is wrong');
    }
    at = end + TRAILER_BYTES;
    before += length;
  }
}

/** In small pieces: where the member ends is known late, and what was read beyond it is read again. */
async function* compressed(chunks: Chunks, from: number): AsyncGenerator<Buffer> {
  let at = from;
  for (let bytes = await chunks.from(at); bytes.length > 0; bytes = await chunks.from(at)) {
    yield bytes.subarray(0, INPUT_BYTES);
    at += Math.min(bytes.length, INPUT_BYTES);
  }
}

async function* inflated(
  inflate: ReturnType<typeof createInflateRaw>,
  source: AsyncGenerator<Buffer>,
  at: number,
): AsyncGenerator<Buffer> {
  const input = Readable.from(source, { objectMode: false });
  // Errors of the file, not of its content; pipe does not pass them on.
  input.on('error', (error) => inflate.destroy(error));
  try {
    for await (const bytes of input.pipe(inflate)) yield bytes as Buffer;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'Z_BUF_ERROR') throw cut(at);
    throw code?.startsWith('Z_') ? damaged(at, (error as Error).message) : error;
  } finally {
    input.destroy();
  }
}

/** Bytes of a member's header (RFC 1952). */
async function headerBytes(chunks: Chunks, at: number): Promise<number> {
  const fixed = await chunks.from(at, 10);
  if (fixed.length < 10) throw cut(at);
  if (fixed.readUIntBE(0, 3) !== 0x1f8b08) throw damaged(at, 'other bytes');
  const flags = fixed[3]!;
  let length = 10;
  if (flags & EXTRA) length += 2 + (await field(chunks, at + length, 2)).readUInt16LE();
  for (const text of [NAME, COMMENT]) if (flags & text) length += await textBytes(chunks, at + length);
  if (flags & HEADER_CRC) length += 2;
  return length;
}

async function field(chunks: Chunks, at: number, length: number): Promise<Buffer> {
  const bytes = await chunks.from(at, length);
  if (bytes.length < length) throw cut(at);
  return bytes;
}

const LONGEST_TEXT = 2 ** 16;

async function textBytes(chunks: Chunks, at: number): Promise<number> {
  const end = (await chunks.from(at, LONGEST_TEXT)).indexOf(0);
  if (end < 0) throw cut(at);
  return end + 1;
}

const cut = (at: number): Problem =>
  new Problem(
    `expected the rest of the gzip member that starts at byte ${at} of the file, found its end; fetch the file again`,
    { endsFile: true },
  );

const damaged = (at: number, found: string): Problem =>
  new Problem(`expected a gzip member at byte ${at} of the file, found ${found}; fetch the file again`, {
    endsFile: true,
  });
