import { TemplateError } from './errors.js';

/**
 * Bounds on what a template may do, so that it ends: far above what a conversation needs. Renderings don't overlap, so
 * what the one that is going on has done is counted here.
 */
const MOST_STEPS = 3_000_000;
/** Of a text, in UTF-16 units. */
const MOST_TEXT = 2 ** 24;
/** Of a list. */
const MOST_ELEMENTS = 2 ** 20;
/** Of an integer. */
const MOST_BITS = 2 ** 16;

let steps = 0;

export function startCounting(): void {
  steps = 0;
}

/** @throws TemplateError when there were too many steps */
export function spend(count = 1): void {
  steps += count;
  if (steps > MOST_STEPS) throw new TemplateError(`a template that takes more than ${MOST_STEPS} steps`);
}

/** What is done with a text takes steps by its length. */
export function spendOnText(text: string): void {
  spend(1 + (text.length >> 8));
}

/** What looks at each character of a text takes more. */
export function spendOnCharacters(text: string): void {
  spend(1 + (text.length >> 2));
}

/** @throws TemplateError for a text without bounds */
export function checkText(length: number): void {
  if (length > MOST_TEXT) throw new TemplateError(`a text of more than ${MOST_TEXT} characters`);
}

/** @throws TemplateError for a list without bounds */
export function checkElements(length: number): void {
  if (length > MOST_ELEMENTS) throw new TemplateError(`a list of more than ${MOST_ELEMENTS} elements`);
}

/** @throws TemplateError for an integer that would be huge */
export function checkBits(bits: number): void {
  if (bits > MOST_BITS) throw new TemplateError(`an integer of more than ${MOST_BITS} bits`);
}
