import { readRecords } from './journal.js';

/** Held-out losses that runs have reached, in nats per token. */
interface Reached {
  readonly mean: number;
  readonly spread: number;
}

interface StoredResults {
  readonly teacher: number;
  readonly cpt: Reached;
  readonly cptKd: Reached;
  readonly seeds: readonly number[];
}

/**
 * What the quickstart ends with: the student before and after this run, beside what is stored with the miniature.
 * @param losses of this run's evaluations, the first one before training
 */
export function quickstartTable(
  { teacher, cpt, cptKd, seeds }: StoredResults,
  losses: readonly number[],
): string {
  const stored = ({ mean, spread }: Reached) => `${mean.toFixed(4)} +- ${spread.toFixed(4)}`;
  const rows = [
    ['student as it is', losses[0]!.toFixed(4)],
    ['after this run', losses.at(-1)!.toFixed(4)],
    [`stored: text alone (CPT), ${seeds.length} seeds`, stored(cpt)],
    [`stored: text and teacher (CPT + KD), ${seeds.length} seeds`, stored(cptKd)],
    ['teacher as it is', teacher.toFixed(4)],
  ] as const;
  const width = Math.max(...rows.map(([name]) => name.length));
  const lines = rows.map(([name, value]) => `  ${name.padEnd(width)}  ${value}`);
  return ['held-out loss, nats per token', ...lines].join('\n');
}

/** Held-out losses that a run has had from its first record on, in nats per token. */
export const heldOutLosses = (metrics: string): number[] =>
  [...readRecords(metrics)].flatMap((record) => (record.type === 'eval' ? [record.nll] : []));
