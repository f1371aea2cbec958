export interface MeanLoss {
  /** Mean cross-entropy in nats per predicted token. */
  readonly nll: number;
  /** Predicted tokens. */
  readonly tokens: number;
}

export interface ScoringHooks {
  /** Looked at before each replay. */
  readonly signal?: AbortSignal | undefined;
  /** Told how many tokens have been predicted so far. */
  readonly onScored?: ((tokens: number) => void) | undefined;
}
