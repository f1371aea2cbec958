import jStat from 'jstat';

/** Means of a few values with their 95 % intervals of Student's t, and what may be said about a difference. */

const CONFIDENCE = 0.95;

/** A mean over `n` values, mostly over seeds. */
export interface Estimate {
  readonly mean: number;
  readonly n: number;
  /** Standard deviation with n - 1 in the denominator; absent for one value. */
  readonly sd?: number;
  /** 95 % interval of the mean; absent for one value. */
  readonly interval?: readonly [low: number, high: number];
  /** Two-sided p value of "the mean is 0"; absent for one value. */
  readonly p?: number;
}

export const meanOf = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

/** The factor of the standard error in a 95 % interval. @param dof degrees of freedom, 1 or more */
export const tFactor = (dof: number): number => jStat.studentt.inv((1 + CONFIDENCE) / 2, dof);

/** Two-sided p value of a mean that is `t` standard errors away from 0. */
const twoSided = (t: number, dof: number): number =>
  Number.isFinite(t) ? 2 * jStat.studentt.cdf(-Math.abs(t), dof) : 0;

/** mean +- t(.975, n - 1) sd / sqrt(n), undefined for no values. */
export function estimate(values: readonly number[]): Estimate | undefined {
  const n = values.length;
  if (n === 0) return undefined;
  const mean = meanOf(values);
  if (n === 1) return { mean, n };
  const sd = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (n - 1));
  const error = sd / Math.sqrt(n);
  const reach = tFactor(n - 1) * error;
  // Equal values: no spread, and a difference of nothing at all is no difference.
  const p = mean === 0 ? 1 : twoSided(mean / error, n - 1);
  return { mean, n, sd, interval: [mean - reach, mean + reach], p };
}

export const exponential = ({ mean, n, interval }: Estimate): Estimate => ({
  mean: Math.exp(mean),
  n,
  ...(interval && { interval: [Math.exp(interval[0]), Math.exp(interval[1])] }),
});

/** Values of two sides by seed. */
export type BySeed = ReadonlyMap<string, number>;

/** a - b over the seeds that both have; undefined where there are none. */
export const pairedDifference = (a: BySeed, b: BySeed): Estimate | undefined =>
  estimate([...a].flatMap(([seed, value]) => (b.has(seed) ? [value - b.get(seed)!] : [])));

/**
 * Holm's step-down correction (1979): the p values of one family such that rejecting those of at most q keeps the chance
 * of any false rejection below q.
 */
export function holm(ps: readonly number[]): number[] {
  const order = ps.map((_, i) => i).sort((i, j) => ps[i]! - ps[j]!);
  const adjusted = new Array<number>(ps.length);
  let largest = 0;
  order.forEach((i, rank) => {
    largest = Math.max(largest, Math.min(1, (ps.length - rank) * ps[i]!));
    adjusted[i] = largest;
  });
  return adjusted;
}

/** `lower` and `higher`: the interval lies on one side of 0; `none`: it holds 0. */
export type Verdict = 'lower' | 'higher' | 'none' | 'one seed' | 'no pair';

/** What a difference shows by itself. */
export function verdictOf(difference: Estimate | undefined): Verdict {
  if (difference === undefined) return 'no pair';
  if (difference.interval === undefined) return 'one seed';
  const [low, high] = difference.interval;
  if (low <= 0 && high >= 0) return 'none';
  return high < 0 ? 'lower' : 'higher';
}

/** Whether a p value, corrected or not, rejects "no difference". */
export const isBelowLevel = (p: number | undefined): boolean => p !== undefined && p <= 1 - CONFIDENCE;

export interface Slope {
  readonly slope: number;
  readonly intercept: number;
  readonly n: number;
  /** 95 % interval from the scatter around the line, n - 2 degrees of freedom; absent for two points. */
  readonly interval?: readonly [low: number, high: number];
}

/** Least-squares line through points; undefined for fewer than two different x. */
export function fitLine(points: readonly (readonly [x: number, y: number])[]): Slope | undefined {
  const n = points.length;
  const [xMean, yMean] = [meanOf(points.map(([x]) => x)), meanOf(points.map(([, y]) => y))];
  const spread = points.reduce((sum, [x]) => sum + (x - xMean) ** 2, 0);
  if (n < 2 || spread === 0) return undefined;
  const slope = points.reduce((sum, [x, y]) => sum + (x - xMean) * (y - yMean), 0) / spread;
  const intercept = yMean - slope * xMean;
  if (n === 2) return { slope, intercept, n };
  const squares = points.reduce((sum, [x, y]) => sum + (y - intercept - slope * x) ** 2, 0);
  const reach = tFactor(n - 2) * Math.sqrt(squares / (n - 2) / spread);
  return { slope, intercept, n, interval: [slope - reach, slope + reach] };
}
