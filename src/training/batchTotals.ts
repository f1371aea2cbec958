/** What one micro-batch adds to its batch: sums over its labels, not yet divided. Plain JSON. */
export interface MicroBatchFacts {
  /** Its number in the batch, from 0. */
  readonly index: number;
  /** Labels. */
  readonly count: number;
  /** In nats, over the labels. */
  readonly ceSum: number;
  readonly klSum: number;
  /** Squared norm of the gradient of its summed loss. */
  readonly square: number;
  /** Slots with a token, and all of them. */
  readonly tokens: number;
  readonly slots: number;
}

/** A batch: sums over its labels, before the one division. */
export type BatchTotals = Omit<MicroBatchFacts, 'index' | 'square'>;

/** Adds up the facts in their order, so that the sums have the same bits whoever computed which. */
export function totalsOf(facts: readonly MicroBatchFacts[]): BatchTotals {
  const total = { count: 0, ceSum: 0, klSum: 0, tokens: 0, slots: 0 };
  for (const part of facts) {
    total.count += part.count;
    total.ceSum += part.ceSum;
    total.klSum += part.klSum;
    total.tokens += part.tokens;
    total.slots += part.slots;
  }
  return total;
}

/**
 * The simple noise scale tr(Sigma) / |G|^2 in units of labels, from the mean squared norm of the micro-batches'
 * gradients and that of the batch's (N labels), n the harmonic mean of the micro-batches' labels: |G|^2 = (N B - n S) / (N - n) and
 * tr(Sigma) = (S - B) / (1/n - 1/N), with S and B those squares of mean gradients (McCandlish et al. 2018, A.1).
 * @param big squared norm of the batch's mean gradient
 * @returns null for a single micro-batch, and where the estimate of the norm is not positive or a norm not finite
 */
export function noiseScale(micro: readonly MicroBatchFacts[], big: number): number | null {
  const parts = micro.length;
  const total = totalsOf(micro).count;
  if (parts < 2 || micro.some(({ count, square }) => count === 0 || !Number.isFinite(square))) return null;
  if (!Number.isFinite(big)) return null;
  const sum = (term: (facts: MicroBatchFacts) => number) => micro.reduce((a, facts) => a + term(facts), 0);
  const n = parts / sum(({ count }) => 1 / count);
  const small = sum(({ square, count }) => square / count ** 2) / parts;
  const signal = (total * big - n * small) / (total - n);
  const noise = (small - big) / (1 / n - 1 / total);
  return signal > 0 ? noise / signal : null;
}
