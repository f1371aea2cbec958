import { createWriteStream } from 'node:fs';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Chunks, LocalFile } from './bytes.js';
import { contentOf } from './content.js';
import { FILE_START } from './position.js';
import type { Opened } from './text.js';

/**
 * Decompresses a file into a temporary one, for a format that is read in any order.
 * @throws Problem when compressed data breaks off or is damaged
 */
export async function spooled({ chunks, compression }: Opened): Promise<{
  readonly chunks: Chunks;
  readonly remove: () => Promise<void>;
}> {
  const folder = await mkdtemp(join(tmpdir(), 'rivulet-'));
  const remove = () => rm(folder, { recursive: true, force: true });
  try {
    const path = join(folder, 'content');
    const parts = contentOf(chunks, compression, FILE_START);
    const bytes = Readable.from(parts).map(({ bytes }) => bytes);
    await pipeline(bytes, createWriteStream(path));
    const { size } = await stat(path);
    return { chunks: new Chunks(new LocalFile(path, size, chunks.file.name)), remove };
  } catch (error) {
    await remove();
    throw error;
  }
}
