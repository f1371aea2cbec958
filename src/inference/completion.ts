/** What a model has written. */
export interface Completion {
  /** New tokens, with the one that ended it. */
  readonly ids: readonly number[];
  /** Their text without special tokens, up to where a stop text begins. */
  readonly text: string;
  /** Why it ended: `stop`, at a stop text or an end-of-text token; `length`, after as many tokens as were asked for. */
  readonly finish: 'length' | 'stop';
}

/** What generation tells: text as it comes, in whole characters, and each completion once it is over. */
export type GenerationRecord =
  | { readonly type: 'text'; readonly prompt: number; readonly text: string }
  | ({ readonly type: 'end'; readonly prompt: number } & Completion);
