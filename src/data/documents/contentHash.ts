import { createHash } from 'node:crypto';
import { hashRanges, type Range, startHash } from '../../formats/hashes.js';
import { isRemote } from '../../hub/address.js';
import { localFiles } from './files.js';
import { FEW_FILES } from './position.js';
import { parseData } from './sources.js';

/** Of all text together, as many bytes are hashed: two or three seconds of one core. */
const MOST_BYTES = 2 ** 32;
/** Of more text, blocks of this size, evenly spaced over each file. */
const BLOCK_BYTES = 2 ** 16;

/**
 * What tells the contents of local text files from others: XXH64 of all bytes up to 4 GiB of text. Of more, blocks of
 * 64 KiB evenly spaced and the end of each file: a change that is longer than 64 KiB x (all text / 4 GiB) never lies
 * between them, a shorter one may. Files on the Hub are told by their commit and are left out.
 * @param paths as `--data` has them
 * @returns by path, of more than 16 files one hash of all
 * @throws InputError when a file can't be read
 */
export async function hashTexts(paths: readonly string[]): Promise<Record<string, string>> {
  const files = paths
    .map((path) => parseData(path).path)
    .filter((path) => !isRemote(path))
    .flatMap(localFiles)
    .map(({ bytes: { name, size } }) => ({ name, size }));
  const total = files.reduce((sum, { size }) => sum + size, 0);
  const hashes: [string, string][] = [];
  for (const { name, size } of files) {
    const hash = await startHash();
    await hashRanges(hash, name, rangesOf(size, total));
    hashes.push([name, `${size}-${hash.digest()}`]);
  }
  if (hashes.length <= FEW_FILES) return Object.fromEntries(hashes);
  const all = createHash('sha256')
    .update(hashes.map(([, hash]) => hash).join())
    .digest('hex');
  return { [`${hashes.length} files`]: all.slice(0, 16) };
}

/** What of a file of `size` bytes is hashed where there are `total` of text. */
export function* rangesOf(size: number, total: number): Generator<Range> {
  if (total <= MOST_BYTES) {
    yield [0, size];
    return;
  }
  const stride = Math.ceil((BLOCK_BYTES * total) / MOST_BYTES);
  for (let at = 0; at < size; at += stride) yield [at, Math.min(size, at + BLOCK_BYTES)];
  yield [Math.max(0, size - BLOCK_BYTES), size];
}
