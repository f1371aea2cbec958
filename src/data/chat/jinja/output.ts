import { TemplateError } from './errors.js';
import type { Budget } from './limits.js';
import { MOST_TEXT } from './limits.js';

/** What is printed, to the text or into a value. */
export class Output {
  readonly #budget: Budget;
  readonly #parts: string[] = [];
  #length = 0;

  constructor(budget: Budget) {
    this.#budget = budget;
  }

  write(text: string): void {
    if (text === '') return;
    this.#length += text.length;
    if (this.#length > MOST_TEXT) throw new TemplateError(`a text of more than ${MOST_TEXT} characters`);
    this.#budget.spend(1 + (text.length >> 6));
    this.#parts.push(text);
  }

  /** Encloses what `print` prints in marks; prints none where it prints nothing. */
  marked([begin, end]: readonly [string, string], print: () => void): void {
    const at = this.#parts.length;
    this.#parts.push('');
    try {
      print();
    } finally {
      if (this.#parts.length > at + 1) {
        this.#parts[at] = begin;
        this.#parts.push(end);
      }
    }
  }

  get text(): string {
    return this.#parts.join('');
  }
}
