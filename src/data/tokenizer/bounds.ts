import { TimeOut, withinTime } from '../../base/boundedTime.js';
import { excerpt, InputError } from '../../base/errors.js';

/** What a tokenizer from a stranger may take: expressions that never end, texts that grow without end. */

const LEAST_MS = 1000;
/** A hundred times what a good expression needs. */
const MS_A_CHARACTER = 0.01;

/**
 * Matches with a regular expression of a file in bounded time.
 * @param where path and field, for messages
 * @param match is pure
 * @throws InputError when it takes too long, or more memory than there is for it
 */
export function matchedInTime<T>(where: string, source: string, text: string, match: () => T): T {
  try {
    return withinTime(LEAST_MS + MS_A_CHARACTER * text.length, match);
  } catch (error) {
    if (!(error instanceof TimeOut || error instanceof RangeError || error instanceof SyntaxError))
      throw error;
    const found = error instanceof TimeOut ? 'takes far too long' : `fails (${error.message.slice(0, 100)})`;
    throw new InputError(
      `${where}: expected a regular expression that can be matched, found ${excerpt(source)}, which ${found} ` +
        `for a text of ${text.length} characters; mend the pattern, or use another tokenizer`,
    );
  }
}

const LEAST_LENGTH = 2 ** 12;
const MOST_GROWTH = 64;

/** What a text may become when it is normalized or decoded, in the unit of its length. */
export const mostLength = (length: number): number => LEAST_LENGTH + MOST_GROWTH * length;

/** @throws InputError when a text became, or would become, longer than that */
export function checkGrowth(where: string, length: number, most: number): void {
  if (length <= most) return;
  throw new InputError(
    `${where}: expected replacements that make a text ${MOST_GROWTH} times as long at most, found such that go on to ` +
      `${length}; mend them, or use another tokenizer`,
  );
}

/** Replaces all places of a pattern. @throws InputError when the result would be longer than `most` */
export function replacedAll(
  where: string,
  text: string,
  { pattern, content }: { readonly pattern: string; readonly content: string },
  most: number,
): string {
  let length = text.length;
  for (let at = text.indexOf(pattern); at >= 0; at = text.indexOf(pattern, at + pattern.length)) {
    length += content.length - pattern.length;
  }
  checkGrowth(where, length, most);
  return text.replaceAll(pattern, () => content);
}
