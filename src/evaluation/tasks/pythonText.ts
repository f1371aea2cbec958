import { SPACE } from '../../data/chat/jinja/unicode.js';

/** What Python's str makes of a text, where JavaScript's own methods differ: other characters are white space there. */

const IS_SPACE = new RegExp(`[${SPACE}]`);

/** `text.rstrip()` */
export function rightStripped(text: string): string {
  let end = text.length;
  while (end > 0 && IS_SPACE.test(text[end - 1]!)) end--;
  return text.slice(0, end);
}

/** `text.strip()` */
export function stripped(text: string): string {
  let start = 0;
  while (start < text.length && IS_SPACE.test(text[start]!)) start++;
  return rightStripped(text.slice(start));
}

/** `len(text)`: its code points. */
export function codePoints(text: string): number {
  let count = 0;
  for (const _ of text) count++;
  return count;
}
