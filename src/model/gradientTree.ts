/**
 * The gradients of a batch's micro-batches are added in one binary tree over their numbers, so that whoever computes
 * which of them, and when, the sum has the same bits. For n micro-batches the tree is the one of a binary counter: the
 * largest power of two comes first as a complete tree, then the rest in the same way; 6 are ((0 1) (2 3)) (4 5). Pairs
 * meet as the second gradient is added to the first one; a sum of 2^l waits at level l for its right neighbour.
 */

/** keep: the running sum goes to its level, and starts again from 0 | merge: what waits at a level joins it. */
export interface Fold {
  readonly kind: 'keep' | 'merge';
  /** Sums of 2^level micro-batches; from 1. */
  readonly level: number;
}

/** The program that does it. */
export const programOf = ({ kind, level }: Fold): string => `${kind}_${level}`;

/** What becomes of the running sum after micro-batch `index` (from 0) of `count`: after the last, it is that of all. */
export function foldsAfter(index: number, count: number): Fold[] {
  const isLast = index === count - 1;
  if (!isLast && index % 2 === 0) return [];
  const folds: Fold[] = [];
  for (let level = 1; ; level++) {
    const waits = Math.floor(index / 2 ** level) % 2 === 1;
    if (waits) folds.push({ kind: 'merge', level });
    else if (!isLast) return [...folds, { kind: 'keep', level }];
    if (2 ** level > index) return folds;
  }
}

/** Levels at which sums wait in a batch of `count` micro-batches: as many partial sums are kept beside the running one. */
export const levelsOf = (count: number): number => Math.max(0, Math.ceil(Math.log2(count)) - 1);
