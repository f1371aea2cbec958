import type { Completion, GenerationRecord } from '../inference/completion.js';

/**
 * Puts what is generated in the order of the prompts: text of the first one that is not over goes on as it comes, that of
 * others waits for its turn.
 */
export class InOrder {
  readonly #onText: (text: string, prompt: number) => void;
  readonly #onEnd: (completion: Completion, prompt: number) => void;
  readonly #waiting = new Map<number, GenerationRecord[]>();
  #turn = 0;

  constructor(
    onText: (text: string, prompt: number) => void,
    onEnd: (completion: Completion, prompt: number) => void,
  ) {
    this.#onText = onText;
    this.#onEnd = onEnd;
  }

  tell(record: GenerationRecord): void {
    const { prompt } = record;
    if (prompt === this.#turn) this.#show(record);
    else this.#waiting.set(prompt, [...(this.#waiting.get(prompt) ?? []), record]);
  }

  #show(record: GenerationRecord): void {
    if (record.type === 'text') {
      this.#onText(record.text, record.prompt);
      return;
    }
    this.#onEnd(record, record.prompt);
    this.#turn++;
    const next = this.#waiting.get(this.#turn) ?? [];
    this.#waiting.delete(this.#turn);
    for (const waiting of next) this.#show(waiting);
  }
}
