import type { Metrics } from './item.js';
import { stripped } from './pythonText.js';

/** How a number is found in a written answer, and compared with the right one: as lm_eval's gsm8k does. */

const NONE = '[invalid]';

/** What comes behind the first `####`, as examples end. */
export const strictMatch = (text: string): string => /#### (-?[0-9.,]+)/.exec(text)?.[1] ?? NONE;

/** The last thing that looks like a number. */
export function flexibleExtract(text: string): string {
  const last = [...text.matchAll(/(-?[$0-9.,]{2,})|(-?[0-9]+)/g)].at(-1);
  return last ? stripped(last[1] ?? last[2]!) : NONE;
}

/** 1 where both are the same text without commas, dollars, all before `#### ` and a full stop at the end. */
export const isSameAnswer = (found: string, target: string): number =>
  Number(compared(found) === compared(target));

const compared = (text: string): string =>
  text
    .replaceAll(',', '')
    .replaceAll('$', '')
    .replace(/.*#### /s, '')
    .replace(/\.(?=\n?$)/, '')
    .toLowerCase();

/** exact_match of what either filter finds in an answer. */
export const measureNumber = (text: string, target: string): Metrics => ({
  'exact_match,strict-match': isSameAnswer(strictMatch(text), target),
  'exact_match,flexible-extract': isSameAnswer(flexibleExtract(text), target),
});
