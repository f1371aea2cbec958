import { statSync } from 'node:fs';
import { rangesOf } from '../data/documents/contentHash.js';
import { hashRanges, startHash } from '../formats/hashes.js';
import type { ModelFiles } from '../model/weights.js';

/**
 * What tells a model from another one: XXH64 of its weights' files, of more than 4 GiB of blocks as `hashTexts` takes
 * them, and its config.
 */
export async function hashOfModel({ config, tensors }: ModelFiles): Promise<string> {
  const paths = [...new Set([...tensors.values()].map(({ path }) => path))].sort();
  const sizes = paths.map((path) => statSync(path).size);
  const total = sizes.reduce((sum, size) => sum + size, 0);
  const hash = await startHash();
  hash.update(new TextEncoder().encode(JSON.stringify([config, sizes])));
  for (const [i, path] of paths.entries()) await hashRanges(hash, path, rangesOf(sizes[i]!, total));
  return hash.digest();
}
