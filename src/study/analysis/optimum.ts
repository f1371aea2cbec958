import { type BySeed, type Estimate, estimate, exponential, meanOf } from './estimate.js';

/** The best learning rate of one arm, and how wide its valley is. Curves are loss over ln lr. */

/** All runs of an arm at one learning rate. */
export interface RateResults {
  readonly lr: number;
  /** Final held-out loss by seed, of runs that finished. */
  readonly losses: BySeed;
  /** Runs that diverged. */
  readonly diverged: number;
}

/** One lr of an arm: its mean loss, as far as all its runs finished. */
export interface RatePoint {
  readonly lr: number;
  /** Adjusted for the seeds it has (`adjustedMeans`); absent where a run diverged or none finished. */
  readonly loss?: number;
  readonly diverged: boolean;
}

export type Optimum =
  /** `best` is refined between grid points; `loss` is the mean at the grid point. */
  | { readonly kind: 'inside'; readonly lr: number; readonly best: Estimate; readonly refined: boolean }
  /** The lowest loss is that of the lowest or highest lr: no optimum inside the grid. */
  | { readonly kind: 'edge'; readonly lr: number; readonly side: 'lowest' | 'highest' }
  /** It was given one learning rate. */
  | { readonly kind: 'fixed' }
  /** Nothing finished. */
  | { readonly kind: 'none' };

const MOST_ROUNDS = 200;
const CONVERGED = 1e-12;

/**
 * Least-squares means of the lrs in the additive model loss = lr + seed: where some lrs have more seeds than others, a
 * lucky seed does not make an lr look good. With the same seeds everywhere they are the plain means. Found by turns: the
 * lrs' means given the seeds' shifts, and the other way round.
 */
export function adjustedMeans(rates: readonly BySeed[]): number[] {
  const seeds = [...new Set(rates.flatMap((losses) => [...losses.keys()]))];
  let shifts = new Map(seeds.map((seed) => [seed, 0]));
  const meansGiven = () =>
    rates.map((losses) => meanOf([...losses].map(([seed, loss]) => loss - shifts.get(seed)!)));
  let means = meansGiven();
  for (let round = 0; round < MOST_ROUNDS; round++) {
    const raw = seeds.map((seed) =>
      meanOf(rates.flatMap((losses, i) => (losses.has(seed) ? [losses.get(seed)! - means[i]!] : []))),
    );
    const centre = meanOf(raw);
    shifts = new Map(seeds.map((seed, i) => [seed, raw[i]! - centre]));
    const next = meansGiven();
    const change = Math.max(0, ...next.map((mean, i) => Math.abs(mean - means[i]!)));
    means = next;
    if (change < CONVERGED) break;
  }
  return means;
}

/** The points of an arm by rising lr. */
export function ratePoints(results: readonly RateResults[]): RatePoint[] {
  const whole = results.filter(({ losses, diverged }) => losses.size > 0 && diverged === 0);
  const means = adjustedMeans(whole.map(({ losses }) => losses));
  const lossOf = new Map(whole.map(({ lr }, i) => [lr, means[i]!]));
  return results
    .map(({ lr, diverged }) => {
      const loss = lossOf.get(lr);
      return { lr, diverged: diverged > 0, ...(loss !== undefined && { loss }) };
    })
    .filter(({ loss, diverged }) => loss !== undefined || diverged)
    .sort((a, b) => a.lr - b.lr);
}

/** The grid point of the lowest loss; an lr beside it at which runs diverged bounds it as a worse one does. */
export function findOptimum(results: readonly RateResults[]): Optimum {
  const points = ratePoints(results);
  const losses = points.map(({ loss }) => loss ?? Number.POSITIVE_INFINITY);
  const lowest = Math.min(...losses);
  if (!Number.isFinite(lowest)) return { kind: 'none' };
  const at = losses.indexOf(lowest);
  const { lr } = points[at]!;
  if (at === 0) return { kind: 'edge', lr, side: 'lowest' };
  if (at === points.length - 1) return { kind: 'edge', lr, side: 'highest' };
  const around = [points[at - 1]!, points[at]!, points[at + 1]!] as const;
  if (around.some(({ loss }) => loss === undefined)) {
    return { kind: 'inside', lr, best: { mean: lr, n: 1 }, refined: false };
  }
  return { kind: 'inside', lr, best: refine(results, around), refined: true };
}

type Three = readonly [RatePoint, RatePoint, RatePoint];

/** Geometric mean over seeds of each seed's vertex; the vertex of the mean curve where no seed has all three points. */
function refine(results: readonly RateResults[], around: Three): Estimate {
  const bySeed = [...vertexBySeed(results, around).values()];
  const logs = bySeed.length > 0 ? bySeed : [vertex(around.map(({ lr, loss }) => [Math.log(lr), loss!]))];
  return exponential(estimate(logs)!);
}

/** ln of each seed's best lr: the vertex of its parabola over the same three lrs. */
function vertexBySeed(results: readonly RateResults[], around: Three): BySeed {
  const three = around.map(({ lr }) => results.find((result) => result.lr === lr)!);
  const seeds = [...three[1]!.losses.keys()].filter((seed) => three.every(({ losses }) => losses.has(seed)));
  return new Map(
    seeds.map((seed) => [seed, vertex(three.map(({ lr, losses }) => [Math.log(lr), losses.get(seed)!]))]),
  );
}

/** ln of each seed's best lr; empty where the optimum is not inside or has a diverged neighbour. */
export function bestRateBySeed(results: readonly RateResults[], optimum: Optimum): BySeed {
  if (optimum.kind !== 'inside' || !optimum.refined) return new Map();
  const points = ratePoints(results);
  const at = points.findIndex(({ lr }) => lr === optimum.lr);
  return vertexBySeed(results, [points[at - 1]!, points[at]!, points[at + 1]!]);
}

/** Where the parabola through three points is lowest, held between them; the lowest point where it is not convex. */
function vertex(points: readonly (readonly [x: number, y: number])[]): number {
  const [[x0, y0], [x1, y1], [x2, y2]] = points as readonly [Pair, Pair, Pair];
  const [left, right] = [(y1 - y0) / (x1 - x0), (y2 - y1) / (x2 - x1)];
  const curvature = (right - left) / (x2 - x0);
  if (curvature <= 0) return [x1, x0, x2][[y1, y0, y2].indexOf(Math.min(y0, y1, y2))]!;
  const x = (x0 + x1) / 2 - left / (2 * curvature);
  return Math.min(x2, Math.max(x0, x));
}

type Pair = readonly [x: number, y: number];

/** Where the mean loss stays within a tolerance of the best. */
export interface Valley {
  readonly low: number;
  readonly high: number;
  /** A side on which the grid ends, or runs diverge, before the loss has left the tolerance: the valley is at least this. */
  readonly open: { readonly low: boolean; readonly high: boolean };
}

/**
 * The lrs around the lowest loss at which the loss, linear in ln lr between grid points, is at most `tolerance` above.
 * @param tolerance nats per token
 */
export function valleyOf(points: readonly RatePoint[], tolerance: number): Valley | undefined {
  const losses = points.map(({ loss }) => loss ?? Number.POSITIVE_INFINITY);
  const lowest = Math.min(...losses);
  if (!Number.isFinite(lowest)) return undefined;
  const at = losses.indexOf(lowest);
  const [low, high] = ([-1, 1] as const).map((step) => valleyEnd(points, at, step, lowest + tolerance));
  return { low: low!.lr, high: high!.lr, open: { low: low!.open, high: high!.open } };
}

function valleyEnd(points: readonly RatePoint[], from: number, step: 1 | -1, level: number) {
  for (let i = from; ; i += step) {
    const [here, next] = [points[i]!, points[i + step]];
    if (next?.loss === undefined) return { lr: here.lr, open: true };
    if (next.loss <= level) continue;
    const share = (level - here.loss!) / (next.loss - here.loss!);
    return { lr: here.lr * (next.lr / here.lr) ** share, open: false };
  }
}
