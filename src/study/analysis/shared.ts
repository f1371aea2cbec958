import type { Arm } from './arms.js';

/** What one learning rate for several arms costs. */
export interface SharedRate {
  readonly lr: number;
  /** Over the arms: loss at `lr` less the lowest of the arm's grid, nats per token. */
  readonly meanRegret: number;
  readonly worstRegret: number;
  /** The arm that loses most by it. */
  readonly worst: Arm;
  /** Number of arms, and whether the lr is the lowest or highest of those that all of them have. */
  readonly arms: number;
  readonly atEdge: boolean;
}

/** lrs at which every arm has a loss. */
const commonRates = (arms: readonly Arm[]): number[] =>
  [...(arms[0]?.points ?? [])]
    .map(({ lr }) => lr)
    .filter((lr) =>
      arms.every(({ points }) => points.some((point) => point.lr === lr && point.loss !== undefined)),
    );

/** Every lr that all arms have, with its regret. */
function regrets(arms: readonly Arm[]): SharedRate[] {
  const rates = commonRates(arms);
  return rates.map((lr, i) => {
    const each = arms.map((arm) => ({ arm, regret: regretAt(arm, lr) }));
    const worst = each.reduce((most, other) => (other.regret > most.regret ? other : most));
    return {
      lr,
      meanRegret: each.reduce((sum, { regret }) => sum + regret, 0) / arms.length,
      worstRegret: worst.regret,
      worst: worst.arm,
      arms: arms.length,
      atEdge: i === 0 || i === rates.length - 1,
    };
  });
}

/** What an lr costs an arm: infinite where runs diverged at it. */
export function regretAt({ points }: Arm, lr: number): number {
  const losses = points.flatMap(({ loss }) => (loss === undefined ? [] : [loss]));
  const loss = points.find((point) => point.lr === lr)?.loss ?? Number.POSITIVE_INFINITY;
  return loss - Math.min(...losses);
}

/** The shared lr of least mean regret; undefined for fewer than two arms or without an lr that all have. */
export function sharedRate(arms: readonly Arm[]): SharedRate | undefined {
  if (arms.length < 2) return undefined;
  const all = regrets(arms);
  return all.length === 0
    ? undefined
    : all.reduce((best, other) => (other.meanRegret < best.meanRegret ? other : best));
}
