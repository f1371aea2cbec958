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
function foldsAfter(index: number, count: number): Fold[] {
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

/** A node of the tree: the micro-batches `first` to `first + count - 1`, whose gradients it is the sum of. */
export interface Part {
  readonly first: number;
  readonly count: number;
}

/**
 * The fewest nodes of the tree over `total` micro-batches that make up those of `run`, in order: what a rank that computes
 * a run adds up by itself. A run of 3 from the fourth of 8 is 3 and (4 5).
 */
export function partsOf(run: Part, total: number): Part[] {
  const end = run.first + run.count;
  const within = (node: Part): Part[] => {
    const nodeEnd = node.first + node.count;
    if (node.first >= end || nodeEnd <= run.first) return [];
    if (node.first >= run.first && nodeEnd <= end) return [node];
    return childrenOf(node).flatMap(within);
  };
  return within({ first: 0, count: total });
}

/** The folds after micro-batch `index`, where its part is added up alone. */
export function foldsIn(parts: readonly Part[], index: number): Fold[] {
  const { first, count } = partWith(parts, index);
  return foldsAfter(index - first, count);
}

/** Whether the running sum after micro-batch `index` is that of its part. */
export function endsPart(parts: readonly Part[], index: number): boolean {
  const { first, count } = partWith(parts, index);
  return index === first + count - 1;
}

/**
 * Adds up the parts of a batch of `total` micro-batches in the order of the tree.
 * @param sums of each part, elements [n]; they are added to in place
 * @returns one of `sums`, which is then that of all
 */
export function sumOfParts(
  parts: readonly Part[],
  sums: readonly Float32Array[],
  total: number,
): Float32Array {
  const byPlace = new Map(parts.map(({ first, count }, i) => [`${first}+${count}`, sums[i]!]));
  const sumOf = (node: Part): Float32Array => {
    const own = byPlace.get(`${node.first}+${node.count}`);
    if (own) return own;
    const [left, right] = childrenOf(node).map(sumOf) as [Float32Array, Float32Array];
    for (let i = 0; i < left.length; i++) left[i]! += right[i]!;
    return left;
  };
  return sumOf({ first: 0, count: total });
}

/** The micro-batches of a batch that a rank computes: one after the other, as even as can be, the first ranks one more. */
export function runOf(rank: number, size: number, total: number): Part {
  const [each, more] = [Math.floor(total / size), total % size];
  const first = rank * each + Math.min(rank, more);
  return { first, count: each + (rank < more ? 1 : 0) };
}

function partWith(parts: readonly Part[], index: number): Part {
  const part = parts.find(({ first, count }) => index >= first && index < first + count);
  if (!part) throw new Error(`micro-batch ${index} is in none of the parts`);
  return part;
}

/** Left the largest power of two that is less than all. */
function childrenOf({ first, count }: Part): [Part, Part] {
  const left = 2 ** (Math.ceil(Math.log2(count)) - 1);
  return [
    { first, count: left },
    { first: first + left, count: count - left },
  ];
}
