import { oneLine } from './errors.js';

const said = new Set<string>();

/**
 * Tells the user something that is no error but should be known, in one line, once a process: as a warning of Node,
 * which a program prints and whoever uses the library can listen for.
 * @param key what is said only once (default: the text)
 */
export function warnOnce(text: string, key = text): void {
  if (said.has(key)) return;
  said.add(key);
  process.emitWarning(oneLine(text));
}
