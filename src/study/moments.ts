/** A decay of AdamW's second moment that is told for one batch size. */
export interface ScaledDecay {
  readonly at: number;
  readonly batch: number;
}

export const isScaled = (value: unknown): value is ScaledDecay =>
  typeof value === 'object' &&
  value !== null &&
  Object.keys(value).sort().join() === 'at,batch' &&
  Object.values(value).every((one) => typeof one === 'number' && one > 0) &&
  (value as ScaledDecay).at < 1;

/**
 * beta2(B) = beta2_ref^(B / B_ref): the second moment's half-life is the same number of tokens at every batch size B
 * (arXiv 2507.07101). Rounded to 8 digits.
 */
export const beta2At = ({ at, batch: reference }: ScaledDecay, batch: number): number =>
  Number((at ** (batch / reference)).toPrecision(8));
