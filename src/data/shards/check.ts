import type { SourceFile } from '../documents/files.js';
import { BadDocument, Problem } from '../documents/problems.js';
import { checkEncoding, type Encoder } from './fingerprint.js';
import { openShard } from './format.js';

/**
 * Reads the headers of all token shards among files.
 * @throws InputError when a shard was made in another way than the encoder would; BadDocument when one can't be read,
 * unless such are skipped
 */
export async function checkShards(
  files: readonly SourceFile[],
  encoder: Encoder,
  skipsBad: boolean,
): Promise<void> {
  const shards = files.filter(({ name }) => name === 'safetensors');
  for (const { bytes } of shards) {
    try {
      checkEncoding(bytes.name, (await openShard(bytes)).encoding, encoder);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (!skipsBad) throw new BadDocument(`${bytes.name}: ${error.message}`);
    }
  }
}
