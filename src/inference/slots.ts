import { NO_PLACE } from '../program/ops/scatter.js';

/** What a program reads: rows of `length` slots, which are filled from the left. */
export class Slots {
  readonly tokens: Uint32Array;
  readonly positions: Uint32Array;
  readonly cached: Uint32Array;
  readonly places: Uint32Array;
  readonly #length: number;
  readonly #capacity: number;
  readonly #filled: number[];

  constructor(rows: number, length: number, capacity: number) {
    this.tokens = new Uint32Array(rows * length);
    this.positions = new Uint32Array(rows * length);
    this.cached = new Uint32Array(rows);
    this.places = new Uint32Array(rows * length).fill(NO_PLACE);
    this.#length = length;
    this.#capacity = capacity;
    this.#filled = new Array(rows).fill(0);
  }

  /** Slots that hold a token, of all rows. */
  get filled(): number {
    return this.#filled.reduce((sum, count) => sum + count, 0);
  }

  /** @param cached tokens that are looked at; 0 for a row that waits, so that its padding has a place */
  begin(row: number, cached: number): void {
    this.cached[row] = cached;
    this.positions.fill(cached, row * this.#length, (row + 1) * this.#length);
  }

  /** Appends tokens that follow what is cached. @returns the slot of the first one */
  add(row: number, tokens: readonly number[], isKept: boolean): number {
    const first = row * this.#length + this.#filled[row]!;
    const cached = this.cached[row]!;
    for (const [i, id] of tokens.entries()) {
      this.tokens[first + i] = id;
      this.positions[first + i] = cached + i;
      if (isKept) this.places[first + i] = row * this.#capacity + cached + i;
    }
    this.#filled[row]! += tokens.length;
    return first;
  }
}
