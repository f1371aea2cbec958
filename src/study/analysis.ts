import {
  type Arm,
  armsOf,
  besides,
  CONTROL,
  type Facet,
  facetsOf,
  type Roles,
  rolesOf,
} from './analysis/arms.js';
import {
  type Comparison,
  compareAll,
  fairestOf,
  pairsOf,
  type Ranking,
  rankAll,
} from './analysis/compare.js';
import { type CriticalBatch, criticalBatches } from './analysis/critical.js';
import { type Estimate, exponential, fitLine, pairedDifference, type Slope } from './analysis/estimate.js';
import { type SharedRate, sharedRate } from './analysis/shared.js';
import { type Target, targetOf } from './analysis/targets.js';
import type { AxisValue, StudyRecord, View } from './records.js';

/** What a study's cells show: a pure function of the records. docs/study-report.md defines every statistic. */

/** Tolerances of the analysis. */
export const TOLERANCES = {
  /** Of a valley: share of the lowest loss that an lr may cost. */
  valley: 0.01,
  /** Of a critical batch: nats per token above the branch of factor 1. */
  branch: 0.01,
} as const;

export interface RateRatio {
  readonly a: Arm;
  readonly b: Arm;
  /** Best lr of a over that of b, the geometric mean over seeds. */
  readonly ratio: Estimate;
}

/** ln best lr over ln x of one line. */
export interface RateSlope extends Slope {
  readonly line: string;
  readonly x: string;
  readonly facet: Facet;
}

/** One lr for several arms. */
export interface SharedBy {
  /** `x`: one line at every x; `lines`: every line at one place; `all`: every arm but the control's. */
  readonly over: 'x' | 'lines' | 'all';
  readonly arms: readonly Arm[];
  readonly shared: SharedRate;
}

export interface FacetTarget extends Target {
  readonly facet: Facet;
}

/** Of one way to make lengths comparable. */
export interface ViewAnalysis {
  readonly view: View;
  readonly arms: readonly Arm[];
  readonly comparisons: readonly Comparison[];
  readonly ratios: readonly RateRatio[];
  readonly slopes: readonly RateSlope[];
  readonly shared: readonly SharedBy[];
  readonly rankings: readonly Ranking[];
  /** The one of `rankings` to look at. */
  readonly fairest?: Ranking;
  readonly targets: readonly FacetTarget[];
}

export interface Analysis {
  readonly study: StudyRecord;
  readonly roles: Roles;
  /** Axes with at least two values, and not `seed` or `lr`. */
  readonly varied: readonly string[];
  readonly views: readonly ViewAnalysis[];
  readonly critical: readonly CriticalBatch[];
}

export function analyse(study: StudyRecord): Analysis {
  const roles = rolesOf(study);
  const arms = armsOf(study, roles, TOLERANCES.valley);
  const varied = Object.keys(study.axes).filter(
    (name) => !['lr', 'seed'].includes(name) && valuesOf(study, name).size > 1,
  );
  const views = (['tokens', 'steps'] as const).filter((view) => arms.some((arm) => arm.view === view));
  return {
    study,
    roles,
    varied,
    views: views.map((view) =>
      viewOf(
        view,
        arms.filter((arm) => arm.view === view),
        roles,
        varied,
      ),
    ),
    critical: criticalBatches(study, TOLERANCES.branch),
  };
}

const valuesOf = ({ axes, cells }: StudyRecord, name: string): Set<AxisValue> =>
  new Set([...axes[name]!, ...cells.flatMap((cell) => cell.axes[name] ?? [])]);

function viewOf(view: View, arms: readonly Arm[], roles: Roles, varied: readonly string[]): ViewAnalysis {
  const adapters = arms.filter(({ line }) => line !== CONTROL);
  const rankings = rankAll(adapters, roles);
  const fairest = fairestOf(rankings);
  return {
    view,
    arms,
    comparisons: compareAll(arms, roles),
    ratios: ratiosOf(arms, roles),
    slopes: roles.xs.flatMap((x) => facetsOf(arms, varied, roles, x).flatMap((facet) => slopesOf(facet, x))),
    shared: sharedBy(adapters, roles, varied),
    rankings,
    ...(fairest && { fairest }),
    targets: facetsOf(arms, varied, roles, roles.xs[0]).flatMap((facet) => {
      const target = targetOf(facet.arms);
      return target ? [{ ...target, facet }] : [];
    }),
  };
}

const ratiosOf = (arms: readonly Arm[], roles: Roles): RateRatio[] =>
  pairsOf(arms, roles).flatMap(([a, b]) => {
    const difference = pairedDifference(a.bestRates, b.bestRates);
    return difference ? [{ a, b, ratio: exponential(difference) }] : [];
  });

function slopesOf(facet: Facet, x: string): RateSlope[] {
  return besides(facet.arms, x).flatMap((arms) => {
    const points = arms.flatMap(({ axes, optimum }) =>
      optimum.kind === 'inside' && Number(axes[x]) > 0
        ? [[Math.log(Number(axes[x])), Math.log(optimum.best.mean)] as const]
        : [],
    );
    const slope = fitLine(points);
    return slope ? [{ ...slope, line: arms[0]!.line, x, facet }] : [];
  });
}

/** Of arms with an optimum inside: what an lr costs is unknown where the best of an arm is. */
function sharedBy(adapters: readonly Arm[], roles: Roles, varied: readonly string[]): SharedBy[] {
  const found = (over: SharedBy['over'], group: readonly Arm[]): SharedBy[] => {
    const arms = group.filter(({ optimum }) => optimum.kind === 'inside');
    const shared = sharedRate(arms);
    return shared ? [{ over, arms, shared }] : [];
  };
  const x = roles.xs[0];
  return [
    ...(x === undefined ? [] : besides(adapters, x).flatMap((group) => found('x', group))),
    ...(roles.line === undefined
      ? []
      : besides(adapters, roles.line).flatMap((group) => found('lines', group))),
    ...(varied.length > 0 ? found('all', adapters) : []),
  ];
}
