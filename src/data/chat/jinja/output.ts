import { checkText, spendOnText } from './limits.js';

/** What is printed, to the text or into a value. */
export class Output {
  readonly #parts: string[] = [];
  #length = 0;

  write(text: string): void {
    if (text === '') return;
    this.#length += text.length;
    checkText(this.#length);
    spendOnText(text);
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
