import { InputError } from '../base/errors.js';
import { fingerprintOf } from '../data/shards/fingerprint.js';
import { sharedTokenizer } from '../data/tokenizer/shared.js';

const TOKENIZER = 'tokenizer in ';
const DIGITS = 16;

/**
 * What tells tokenizers from others: it makes other tokens of the same text.
 * @param folders by how a user named their models
 */
export async function hashTokenizers(
  folders: Readonly<Record<string, string>>,
): Promise<Record<string, string>> {
  const hashes: Record<string, string> = {};
  for (const [name, folder] of Object.entries(folders)) {
    hashes[TOKENIZER + name] = fingerprintOf(await sharedTokenizer(folder)).slice(0, DIGITS);
  }
  return hashes;
}

/**
 * Holds text files, and what they are encoded with, to the hashes that a checkpoint has of them, wherever they are by now;
 * one of version 0.1.0 has none.
 * @param expected, found as `hashTexts`, `hashPlans` and `hashTokenizers` give them
 * @throws InputError naming the first file that is another one
 */
export function checkTexts(
  expected: Readonly<Record<string, string>> | undefined,
  found: Readonly<Record<string, string>>,
): void {
  for (const [name, hash] of Object.entries(expected ?? {})) {
    const is = found[name] ?? Object.values(found).find((other) => other === hash);
    if (is === hash) continue;
    const what = name.startsWith(TOKENIZER)
      ? 'one that the run began with (SHA-256'
      : 'text that the run began with (size and XXH64';
    throw new InputError(
      `${name}: expected the ${what} ${hash}), found ${is ?? 'none'}; restore it as it was`,
    );
  }
}
