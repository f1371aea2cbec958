import type { AxisValue, CellRecord, StudyRecord } from '../records.js';
import { groupBy, SEED } from './arms.js';

/** The critical batch as branches measure it: how far the batch can grow before equal tokens teach less. */
export interface CriticalBatch {
  /** The cell that all branches began in, and after which of its steps. */
  readonly from: string;
  readonly step: number;
  /** Tokens of that cell up to there. */
  readonly tokens?: number;
  readonly axes: Readonly<Record<string, AxisValue>>;
  /** Final loss by batch size over that of the cell, ascending. */
  readonly branches: readonly BranchResult[];
  /** Largest factor up to which every branch stayed within the tolerance of factor 1. */
  readonly within: number;
  /** The next factor, which did not; absent where none was tried. */
  readonly beyond?: number;
  /** Tokens of one step at factor 1. */
  readonly batchTokens: number;
}

export interface BranchResult {
  readonly factor: number;
  /** Infinite where it diverged. */
  readonly nll: number;
}

/**
 * One critical batch for every checkpoint that was branched from. A checkpoint without a finished branch of factor 1 has
 * nothing to compare with, and none.
 * @param tolerance nats per token
 */
export function criticalBatches({ cells }: StudyRecord, tolerance: number): CriticalBatch[] {
  const branched = cells.filter(({ branch, status }) => branch !== undefined && status !== 'failed');
  // A run that is in two views has one set of branches.
  const unique = [...new Map(branched.map((cell) => [cell.key, cell])).values()];
  const groups = groupBy(unique, ({ branch, axes }) =>
    JSON.stringify([branch!.from, branch!.step, axes[SEED]]),
  );
  return [...groups.values()].flatMap((group) => criticalOf(group, cells, tolerance));
}

function criticalOf(
  group: readonly CellRecord[],
  cells: readonly CellRecord[],
  tolerance: number,
): CriticalBatch[] {
  const { branch, axes } = group[0]!;
  const plain = group.find((cell) => cell.branch!.factor === 1);
  const base = plain && lossOf(plain);
  if (plain === undefined || base === undefined || !Number.isFinite(base)) return [];
  const branches = group
    .map((cell) => ({ factor: cell.branch!.factor, nll: lossOf(cell) }))
    .sort((a, b) => a.factor - b.factor);
  const larger = branches.filter(({ factor }) => factor >= 1);
  const first = larger.findIndex(({ nll }) => nll > base + tolerance);
  const beyond = larger[first]?.factor;
  const origin = cells.find(({ key }) => key === branch!.from);
  const tokens = origin && (origin.tokens / origin.steps) * branch!.step;
  return [
    {
      from: branch!.from,
      step: branch!.step,
      axes: origin?.axes ?? axes,
      branches,
      within: (first < 0 ? larger.at(-1)! : larger[first - 1]!).factor,
      batchTokens: plain.tokens / plain.steps,
      ...(tokens !== undefined && { tokens }),
      ...(beyond !== undefined && { beyond }),
    },
  ];
}

const lossOf = ({ status, measures }: CellRecord): number => {
  const nll = measures.nll;
  return status === 'done' && nll !== undefined && Number.isFinite(nll) ? nll : Number.POSITIVE_INFINITY;
};
