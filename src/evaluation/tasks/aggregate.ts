/** What the results of items come to. */
export interface Aggregate {
  readonly mean: number;
  /** Of the mean; null where one item says nothing of it. */
  readonly stderr: number | null;
  readonly items: number;
}

/** The mean of items, and its standard error: their sample standard deviation (n - 1) over the root of n. */
export function aggregate(values: readonly number[]): Aggregate {
  const n = values.length;
  const mean = sum(values) / n;
  const squares = sum(values.map((value) => (value - mean) ** 2));
  const stderr = n > 1 ? Math.sqrt(squares / (n - 1)) / Math.sqrt(n) : null;
  return { mean, stderr, items: n };
}

/**
 * Several parts as one: the mean over all their items, with the standard error of the variances within the parts, pooled.
 * It is null where that of a part is.
 */
export function pooled(parts: readonly Aggregate[]): Aggregate {
  const items = sum(parts.map((part) => part.items));
  const mean = sum(parts.map((part) => part.mean * part.items)) / items;
  let variances = 0;
  for (const { stderr, items: n } of parts) {
    if (stderr === null) return { mean, stderr: null, items };
    variances += (n - 1) * stderr ** 2 * n;
  }
  return { mean, stderr: Math.sqrt(variances / (items - parts.length) / items), items };
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
