import type { ContinuationScore } from '../scoring.js';

/** A context, and what is scored behind it. All are ids; none is empty. */
export interface ScoredGroup {
  readonly context: Uint32Array;
  readonly continuations: readonly Uint32Array[];
}

/** Log-likelihoods of continuations. */
export interface Scorer {
  /** Tokens that went through the model so far. */
  readonly forwarded: number;
  /** Scores of each group, in the order of its continuations. @throws RunError when it was told to stop */
  score(groups: readonly ScoredGroup[]): Promise<ContinuationScore[][]>;
}

export interface WrittenAnswer {
  /** The new ids, up to and with what ended the answer. */
  readonly ids: Uint32Array;
  /** Their text without special tokens, up to the first stop text. */
  readonly text: string;
}

/** Answers to prompts, greedily: of equally likely tokens that with the lowest id. */
export interface Generator {
  /** Tokens that went through the model so far. */
  readonly forwarded: number;
  /**
   * @param stop texts that end an answer, beside the tokenizer's EOS
   * @throws RunError when it was told to stop
   */
  complete(
    prompts: readonly Uint32Array[],
    options: { readonly maxTokens: number; readonly stop: readonly string[] },
  ): Promise<readonly WrittenAnswer[]>;
}

/** A text up to where the first of `stop` is in it, then to the second, and so on. */
export const cutAtStops = (text: string, stop: readonly string[]): string =>
  stop.reduce((left, end) => (end === '' ? left : left.split(end, 1)[0]!), text);
