import { InputError } from '../base/errors.js';

/**
 * Holds text files to the hashes that a checkpoint has of them, wherever they are by now; one of version 0.1.0 has none.
 * @param expected, found as `hashTexts` gives them
 * @throws InputError naming the first file that is another one
 */
export function checkTexts(
  expected: Readonly<Record<string, string>> | undefined,
  found: Readonly<Record<string, string>>,
): void {
  for (const [name, hash] of Object.entries(expected ?? {})) {
    const is = found[name] ?? Object.values(found).find((other) => other === hash);
    if (is === hash) continue;
    throw new InputError(
      `${name}: expected the text that the run began with (size and XXH64 ${hash}), found ${is ?? 'none'}; ` +
        'restore it as it was',
    );
  }
}
