import { Readable } from 'node:stream';
import { crc32, createInflateRaw } from 'node:zlib';
import type { Chunks, ContentChunk } from './bytes.js';
import type { Restart } from './position.js';
import { Problem } from './problems.js';

const INPUT_BYTES = 2 ** 16;
const OUTPUT_BYTES = 2 ** 18;
const MAGIC = Buffer.from([0x1f, 0x8b, 8]);
const FIXED_BYTES = 10;
const LONGEST_TEXT = 2 ** 16;
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
    if (trailer.length < TRAILER_BYTES) throw cut(at);
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
async function headerBytes(chunks: Chunks, member: number): Promise<number> {
  const fixed = await chunks.from(member, FIXED_BYTES);
  if (!fixed.subarray(0, MAGIC.length).equals(MAGIC.subarray(0, fixed.length))) {
    throw damaged(member, 'other bytes');
  }
  if (fixed.length < FIXED_BYTES) throw cut(member);
  const flags = fixed[3]!;
  let end = member + FIXED_BYTES;
  if (flags & EXTRA) {
    const length = await chunks.from(end, 2);
    if (length.length < 2) throw cut(member);
    end += 2 + length.readUInt16LE();
  }
  for (const text of [NAME, COMMENT]) {
    if (!(flags & text)) continue;
    const length = (await chunks.from(end, LONGEST_TEXT)).indexOf(0);
    if (length < 0) throw cut(member);
    end += length + 1;
  }
  return end + (flags & HEADER_CRC ? 2 : 0) - member;
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
