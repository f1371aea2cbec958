/** What a model makes of tasks. */
export interface TaskEvaluation {
  /**
   * By task, group or subject: each metric, and as METRIC_stderr its standard error, null of a single item. Of gsm8k the
   * filter is behind a comma: `exact_match,strict-match` and `exact_match_stderr,strict-match`.
   */
  readonly results: Readonly<Record<string, Readonly<Record<string, number | null>>>>;
  /**
   * Of the tasks, where all of them are there: of arc_challenge and hellaswag acc_norm, of gsm8k strict-match, of the
   * others acc.
   */
  readonly mean?: number;
  /** Items scored, and examples shown to each, by task, group or subject. */
  readonly items: Readonly<Record<string, number>>;
  readonly shots: Readonly<Record<string, number>>;
  /** Tokens that went through the model. */
  readonly forwarded: number;
  /** Wall time of scoring, without loading. */
  readonly seconds: number;
}

/** How far a task is. */
export interface TaskProgress {
  readonly task: string;
  readonly items: number;
  readonly totalItems: number;
  /** Tokens that went through the model so far. */
  readonly tokens: number;
  readonly seconds: number;
}
