import { type Arm, besides, CONTROL, comparedAxis, isTuned, measured, type Roles } from './arms.js';
import {
  type BySeed,
  type Estimate,
  holm,
  meanOf,
  pairedDifference,
  type Verdict,
  verdictOf,
} from './estimate.js';
import { regretAt } from './shared.js';

/** Lines against each other, seed by seed, at the same place on every other axis. */

export interface Comparison {
  readonly measure: string;
  /** The difference is a - b. */
  readonly a: Arm;
  readonly b: Arm;
  readonly difference?: Estimate;
  /** p after Holm's correction over the comparisons of its view that have one. */
  readonly corrected?: number;
  readonly verdict: Verdict;
}

/** Pairs of lines, each once, at every place that both have. The first line but the control is b wherever it takes part. */
export const pairsOf = (arms: readonly Arm[], { line }: Roles): [a: Arm, b: Arm][] => pairsAlong(arms, line);

/** Pairs of arms that differ on one axis alone. */
function pairsAlong(arms: readonly Arm[], axis: string | undefined): [a: Arm, b: Arm][] {
  if (axis === undefined) return [];
  const isControl = ({ line }: Arm) => Number(line === CONTROL);
  return besides(arms, axis).flatMap((group) => {
    const controlLast = [...group].sort((a, b) => isControl(a) - isControl(b));
    return controlLast.flatMap((b, i) => controlLast.slice(i + 1).map((a): [Arm, Arm] => [a, b]));
  });
}

/** Names of the measures that lines are compared by: the loss, forgetting and every task's score. */
export const comparedMeasures = (arms: readonly Arm[]): string[] => {
  const names = new Set(
    arms.flatMap(({ tuned }) => [...tuned.values()].flatMap((cell) => Object.keys(cell.measures))),
  );
  const scores = [...names].filter((name) => name.startsWith('exact_match')).sort();
  return ['nll', 'forgetting', ...scores].filter((name) => names.has(name));
};

/** All comparisons of one view's arms at tuned lr, where both have an optimum: of lines, or of one line along its numbers. */
export function compareAll(arms: readonly Arm[], roles: Roles): Comparison[] {
  const pairs = pairsAlong(arms, comparedAxis(roles)).filter((pair) => pair.every(isTuned));
  const raw = comparedMeasures(arms).flatMap((measure) =>
    pairs.map(([a, b]) => ({
      measure,
      a,
      b,
      difference: pairedDifference(measured(a, measure), measured(b, measure)),
    })),
  );
  const tested = raw.filter(({ difference }) => difference?.p !== undefined);
  const ps = holm(tested.map(({ difference }) => difference!.p!));
  return raw.map(({ difference, ...pair }) => {
    const corrected =
      difference?.p === undefined
        ? undefined
        : ps[tested.findIndex((test) => test.difference === difference)]!;
    return {
      ...pair,
      ...(difference && { difference }),
      ...(corrected !== undefined && { corrected }),
      verdict: verdictOf(difference),
    };
  });
}

/** One pair's loss at one place: at a fixed lr, and each at its own best. */
export interface RankingPair {
  readonly a: Arm;
  readonly b: Arm;
  readonly fixed: RankingSide;
  readonly tuned: RankingSide;
  /** Whether the difference changes its sign: shown by both intervals, or seen in the means alone. */
  readonly flips: 'shown' | 'seen' | 'no' | 'unknown';
}

export interface RankingSide {
  readonly difference?: Estimate;
  /** `a diverged` and so on stand for a difference without a number. */
  readonly verdict: Verdict | 'a diverged' | 'b diverged' | 'both diverged';
}

const lossesAt = ({ results }: Arm, lr: number): BySeed =>
  results.find((rate) => rate.lr === lr)?.losses ?? new Map();
const divergedAt = ({ results }: Arm, lr: number): boolean =>
  (results.find((rate) => rate.lr === lr)?.diverged ?? 0) > 0;

function sideAt(a: Arm, b: Arm, lr: number): RankingSide {
  const [aDiverged, bDiverged] = [divergedAt(a, lr), divergedAt(b, lr)];
  if (aDiverged && bDiverged) return { verdict: 'both diverged' };
  if (aDiverged || bDiverged) return { verdict: aDiverged ? 'a diverged' : 'b diverged' };
  return sideOf(pairedDifference(lossesAt(a, lr), lossesAt(b, lr)));
}

const sideOf = (difference: Estimate | undefined): RankingSide => ({
  ...(difference && { difference }),
  verdict: verdictOf(difference),
});

/** Which of the two is ahead: -1 when a has the lower loss. */
function signOf({ difference, verdict }: RankingSide): number {
  if (verdict === 'a diverged') return 1;
  if (verdict === 'b diverged') return -1;
  return Math.sign(difference?.mean ?? 0);
}

const isShown = ({ verdict }: RankingSide): boolean =>
  ['lower', 'higher', 'a diverged', 'b diverged'].includes(verdict);

function flipOf(fixed: RankingSide, tuned: RankingSide): RankingPair['flips'] {
  const [before, after] = [signOf(fixed), signOf(tuned)];
  if (before * after === 0) return 'unknown';
  if (before === after) return 'no';
  return isShown(fixed) && isShown(tuned) ? 'shown' : 'seen';
}

/** Pairs of lines at one lr for all. */
export interface Ranking {
  readonly lr: number;
  /** Where both lines have run this lr and have an optimum; the control takes no part. */
  readonly pairs: readonly RankingPair[];
}

function rankAt(pairs: readonly (readonly [Arm, Arm])[], lr: number): Ranking {
  const ranked = pairs.map(([a, b]) => {
    const fixed = sideAt(a, b, lr);
    const tuned = sideOf(pairedDifference(measured(a, 'nll'), measured(b, 'nll')));
    return { a, b, fixed, tuned, flips: flipOf(fixed, tuned) };
  });
  return { lr, pairs: ranked.filter(({ fixed }) => fixed.verdict !== 'no pair') };
}

/** The rankings at every lr that some pair has, ascending, against those at each one's best. */
export function rankAll(arms: readonly Arm[], roles: Roles): Ranking[] {
  const pairs = pairsOf(arms, roles).filter((pair) =>
    pair.every(({ line, optimum }) => line !== CONTROL && optimum.kind === 'inside'),
  );
  const rates = new Set(pairs.flatMap(([a]) => a.points.map(({ lr }) => lr)));
  return [...rates]
    .sort((a, b) => a - b)
    .map((lr) => rankAt(pairs, lr))
    .filter((ranking) => ranking.pairs.length > 0);
}

/** The lr that the most pairs have; of several, the one that costs their lines least on average. */
export function fairestOf(rankings: readonly Ranking[]): Ranking | undefined {
  const most = Math.max(...rankings.map(({ pairs }) => pairs.length));
  const cost = ({ lr, pairs }: Ranking) =>
    meanOf(pairs.flatMap(({ a, b }) => [regretAt(a, lr), regretAt(b, lr)]));
  return rankings
    .filter(({ pairs }) => pairs.length === most)
    .reduce<Ranking | undefined>(
      (best, one) => (best === undefined || cost(one) < cost(best) ? one : best),
      undefined,
    );
}
