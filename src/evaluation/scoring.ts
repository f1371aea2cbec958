import { DivergedError } from '../base/errors.js';

export interface MeanLoss {
  /** Mean cross-entropy in nats per predicted token. */
  readonly nll: number;
  /** Predicted tokens. */
  readonly tokens: number;
}

/** What a model makes of the learned tokens of an example, given the tokens before each. */
export interface ContinuationScore {
  /** Sum of log p over these tokens, in nats. */
  readonly logLikelihood: number;
  /** How many they are. */
  readonly tokens: number;
  /** Whether greedy decoding gives them: each is the likeliest, of equally likely ones that with the lowest id. */
  readonly isGreedy: boolean;
}

/** That of no tokens. */
export const NO_SCORE: ContinuationScore = { logLikelihood: 0, tokens: 0, isGreedy: true };

/** That of two parts of a continuation together. */
export const bothScores = (a: ContinuationScore, b: ContinuationScore): ContinuationScore => ({
  logLikelihood: a.logLikelihood + b.logLikelihood,
  tokens: a.tokens + b.tokens,
  isGreedy: a.isGreedy && b.isGreedy,
});

/** @throws DivergedError for one that is no finite number, as the model's logits are not then */
export function finiteScore(score: ContinuationScore): ContinuationScore {
  const { logLikelihood } = score;
  if (Number.isFinite(logLikelihood)) return score;
  throw new DivergedError(
    `expected a finite log-likelihood, found ${logLikelihood}; check the model and its adapter`,
  );
}

/** A context, and what may follow it. */
export interface Choices {
  /** At least one token. */
  readonly context: ArrayLike<number>;
  /** Of at least one token each. */
  readonly continuations: readonly ArrayLike<number>[];
}

export interface ScoringHooks {
  /** Looked at before each replay. */
  readonly signal?: AbortSignal | undefined;
  /** Told how many tokens have been predicted so far. */
  readonly onScored?: ((tokens: number) => void) | undefined;
}
