import type { SourceFile } from '../documents/files.js';
import { BadDocument, Problem } from '../documents/problems.js';
import { checkEncoding, type Encoder, encodingOf } from './fingerprint.js';
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
  const expected = shards.length > 0 ? encodingOf(encoder) : undefined;
  for (const { bytes } of shards) {
    try {
      checkEncoding(bytes.name, (await openShard(bytes)).encoding, expected!);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (!skipsBad) throw new BadDocument(`${bytes.name}: ${error.message}`);
    }
  }
}
