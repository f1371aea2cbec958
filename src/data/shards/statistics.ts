import type { EncodedExample } from '../examples.js';

/** What a source of documents comes to in tokens. */
export interface CorpusStatistics {
  readonly documents: number;
  readonly tokens: number;
  /** UTF-8 bytes of the text. */
  readonly bytes: number;
  readonly bytesPerToken: number;
  readonly longest: { readonly tokens: number; readonly document: string };
  /** Tokens of a document: the least number that half, nine tenths, and so on, of the documents do not exceed. */
  readonly length: { readonly median: number; readonly p90: number; readonly p99: number };
}

/** Counts documents as they come by. */
export class CorpusCounter {
  documents = 0;
  tokens = 0;
  bytes = 0;
  #longest = { tokens: 0, document: '' };
  /** Documents by their tokens: lengths that differ are few, as n of them are n^2 / 2 tokens or more. */
  readonly #byLength = new Map<number, number>();

  add({ tokens: { length }, bytes }: EncodedExample, document: string): void {
    this.documents++;
    this.tokens += length;
    this.bytes += bytes;
    if (length > this.#longest.tokens || this.documents === 1) this.#longest = { tokens: length, document };
    this.#byLength.set(length, (this.#byLength.get(length) ?? 0) + 1);
  }

  /** Share of the documents with more pairs than a row of `sequence` slots holds. */
  longerThan(sequence: number): number {
    let longer = 0;
    for (const [length, count] of this.#byLength) if (length - 1 > sequence) longer += count;
    return ratio(longer, this.documents);
  }

  get statistics(): CorpusStatistics {
    const { documents, tokens, bytes } = this;
    const [median, p90, p99] = this.#quantiles([0.5, 0.9, 0.99]);
    return {
      documents,
      tokens,
      bytes,
      bytesPerToken: ratio(bytes, tokens),
      longest: this.#longest,
      length: { median: median!, p90: p90!, p99: p99! },
    };
  }

  /** By nearest rank. @param shares in ascending order */
  #quantiles(shares: readonly number[]): number[] {
    const found: number[] = [];
    let seen = 0;
    for (const [length, count] of [...this.#byLength].sort(([a], [b]) => a - b)) {
      seen += count;
      while (found.length < shares.length && seen >= shares[found.length]! * this.documents)
        found.push(length);
    }
    return found;
  }
}

export const ratio = (part: number, whole: number): number => (whole === 0 ? 0 : part / whole);
