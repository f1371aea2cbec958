import { TemplateError } from './errors.js';

/** Far above what a conversation needs; a template that needs more is thought never to end. */
export const MOST_STEPS = 10_000_000;
/** Of a text, in UTF-16 units. */
export const MOST_TEXT = 2 ** 25;
/** Of an integer. */
const MOST_BITS = 2 ** 16;

/** Counts what a rendering does, so that it ends. */
export class Budget {
  #steps = 0;

  /** @throws TemplateError when there were too many */
  spend(steps = 1): void {
    this.#steps += steps;
    if (this.#steps > MOST_STEPS) {
      throw new TemplateError(`a template that takes more than ${MOST_STEPS} steps`);
    }
  }

  /** Of a text that was made: long ones cost more. */
  text(text: string): string {
    if (text.length > MOST_TEXT) throw new TemplateError(`a text of more than ${MOST_TEXT} characters`);
    this.spend(1 + (text.length >> 6));
    return text;
  }
}

/** @throws TemplateError for `count` copies that would be a text or list without bounds */
export function checkLength(length: number): void {
  if (length > MOST_TEXT) throw new TemplateError(`a value of more than ${MOST_TEXT} elements`);
}

/** @throws TemplateError for an integer that would be huge */
export function checkBits(bits: number): void {
  if (bits > MOST_BITS) throw new TemplateError(`an integer of more than ${MOST_BITS} bits`);
}
