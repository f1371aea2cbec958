import { InputError } from '../base/errors.js';

/**
 * Holds text files to the hashes that a checkpoint has of them; one of version 0.1.0 has none.
 * @param expected, found as `hashTexts` gives them
 * @throws InputError naming the first file that is another one
 */
export function checkTexts(
  expected: Readonly<Record<string, string>> | undefined,
  found: Readonly<Record<string, string>>,
): void {
  for (const [name, hash] of Object.entries(expected ?? {})) {
    if (found[name] === hash) continue;
    throw new InputError(
      `${name}: expected the text that the run began with (size and XXH64 ${hash}), found ${found[name] ?? 'none'}; ` +
        'restore it as it was',
    );
  }
}
