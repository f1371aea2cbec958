import type { Chunks, ContentChunk } from './bytes.js';
import { gunzip } from './gzip.js';
import type { Position, Restart } from './position.js';
import { unzstd } from './zstd.js';

export type Compression = 'none' | 'gzip' | 'zstd';

const FIRST_FRAME: Restart = { at: 0, before: 0 };

/**
 * What a file holds from a position on: the file itself, or what it decompresses to. Compressed content is decompressed
 * from the start of its frame or member.
 * @throws Problem when compressed data breaks off or is damaged
 */
export async function* contentOf(
  chunks: Chunks,
  compression: Compression,
  { byteOffset, restart = FIRST_FRAME }: Pick<Position, 'byteOffset' | 'restart'>,
): AsyncGenerator<ContentChunk> {
  if (compression === 'none') {
    yield* plain(chunks, byteOffset);
    return;
  }
  const decompressed = compression === 'gzip' ? gunzip(chunks, restart) : unzstd(chunks, restart);
  let at = restart.before;
  for await (const { bytes, restart: frame } of decompressed) {
    const skipped = Math.min(bytes.length, Math.max(0, byteOffset - at));
    at += bytes.length;
    if (skipped < bytes.length) yield { bytes: bytes.subarray(skipped), restart: frame };
  }
}

async function* plain(chunks: Chunks, from: number): AsyncGenerator<ContentChunk> {
  let at = from;
  for (let bytes = await chunks.from(at); bytes.length > 0; bytes = await chunks.from(at)) {
    yield { bytes };
    at += bytes.length;
  }
}
