/** Lets a text through as it comes, up to the first of some texts that end it. */
export class StopText {
  readonly #stops: readonly string[];
  #held = '';
  /** Whether one of the texts has come. */
  isOver = false;

  /** @param stops none of them empty */
  constructor(stops: readonly string[]) {
    this.#stops = stops;
  }

  /** What is certain to be before the end; what may turn out to begin one of the texts is held back. */
  push(text: string): string {
    if (this.isOver) return '';
    this.#held += text;
    const ends = this.#stops.map((stop) => this.#held.indexOf(stop)).filter((at) => at >= 0);
    if (ends.length > 0) {
      this.isOver = true;
      return this.#take(Math.min(...ends), '');
    }
    const longest = Math.max(0, ...this.#stops.map((stop) => this.#overlap(stop)));
    const certain = this.#held.length - longest;
    return this.#take(certain, this.#held.slice(certain));
  }

  /** What was held back, once nothing follows. */
  end(): string {
    return this.isOver ? '' : this.#take(this.#held.length, '');
  }

  #take(length: number, rest: string): string {
    const text = this.#held.slice(0, length);
    this.#held = rest;
    return text;
  }

  /** Characters at the end of what is held that `stop` begins with. */
  #overlap(stop: string): number {
    for (let length = Math.min(stop.length - 1, this.#held.length); length > 0; length--) {
      if (this.#held.endsWith(stop.slice(0, length))) return length;
    }
    return 0;
  }
}
