import type { CellRecord, CurvePoint } from '../records.js';
import type { Arm } from './arms.js';
import { type Estimate, estimate } from './estimate.js';

/** How long arms take to a loss that all of them reach. */
export interface Target {
  /** The worst final loss of any tuned run among the arms, nats per token. */
  readonly nll: number;
  readonly reached: readonly Reached[];
}

export interface Reached {
  readonly arm: Arm;
  /** Over the seeds that have a curve down to the target. */
  readonly steps: Estimate;
  readonly tokens: Estimate;
  /** Seeds with a curve, reached or not. */
  readonly seeds: number;
}

/** @param arms those of one picture; at their tuned lr */
export function targetOf(arms: readonly Arm[]): Target | undefined {
  const finals = arms
    .flatMap(({ tuned }) => [...tuned.values()].map(finalLoss))
    .filter((nll) => nll !== undefined);
  if (finals.length === 0) return undefined;
  const nll = Math.max(...finals);
  const reached = arms.flatMap((arm): Reached[] => {
    const curves = [...arm.tuned.values()].filter(({ curve }) => curve.length > 0);
    const places = curves.map(({ curve }) => crossing(curve, nll)).filter((place) => place !== undefined);
    const [steps, tokens] = [places.map(([step]) => step), places.map(([, token]) => token)].map(estimate);
    return steps && tokens ? [{ arm, steps, tokens, seeds: curves.length }] : [];
  });
  return { nll, reached };
}

const finalLoss = ({ curve }: CellRecord): number | undefined => curve.at(-1)?.nll;

/** Where a curve is first at or below a loss, linear between its points; undefined where it never is. */
export function crossing(
  curve: readonly CurvePoint[],
  nll: number,
): readonly [steps: number, tokens: number] | undefined {
  const at = curve.findIndex((point) => point.nll <= nll);
  if (at < 0) return undefined;
  const after = curve[at]!;
  if (at === 0) return [after.step, after.tokens];
  const before = curve[at - 1]!;
  const share = (before.nll - nll) / (before.nll - after.nll);
  return [
    before.step + share * (after.step - before.step),
    before.tokens + share * (after.tokens - before.tokens),
  ];
}
