import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { endsPart, foldsIn, levelsOf, partsOf, runOf, sumOfParts } from '#src/model/gradientTree.js';

/** The tree as text, by moving names of leaves about as the programs move sums. */
function treeOf(count: number): string {
  let sum = '';
  const waiting: string[] = [];
  const add = (left: string, right: string) => (left && right ? `(${left} ${right})` : left + right);
  for (let index = 0; index < count; index++) {
    sum = add(sum, String(index));
    for (const { kind, level } of foldsIn([{ first: 0, count }], index)) {
      assert.ok(level >= 1 && level <= levelsOf(count), `level ${level} of ${levelsOf(count)}`);
      if (kind === 'keep') {
        assert.is(waiting[level] ?? '', '', 'nothing waits where a sum is kept');
        waiting[level] = sum;
        sum = '';
      } else {
        assert.ok(waiting[level], 'a sum waits where one is merged');
        sum = add(waiting[level]!, sum);
        waiting[level] = '';
      }
    }
  }
  assert.not(waiting.some(Boolean), 'nothing is left behind');
  return sum;
}

/** By its definition: the largest power of two as a complete tree, then the rest. */
function expectedTree(first: number, count: number): string {
  if (count === 1) return String(first);
  const power = 2 ** Math.floor(Math.log2(count));
  const left = power === count ? power / 2 : power;
  return `(${expectedTree(first, left)} ${expectedTree(first + left, count - left)})`;
}

test('micro-batches are added in one tree, whose partial sums are as few as its levels', () => {
  assert.is(treeOf(6), '(((0 1) (2 3)) (4 5))');
  for (let count = 1; count <= 70; count++) assert.is(treeOf(count), expectedTree(0, count));
  assert.equal([1, 2, 3, 4, 5, 8, 9, 64].map(levelsOf), [0, 0, 1, 1, 2, 2, 3, 5]);
});

test('ranks add up runs of it in parts, and the parts in its order give the bits of one rank', () => {
  assert.equal(partsOf({ first: 3, count: 3 }, 8), [
    { first: 3, count: 1 },
    { first: 4, count: 2 },
  ]);
  assert.equal(partsOf({ first: 5, count: 2 }, 7), [
    { first: 5, count: 1 },
    { first: 6, count: 1 },
  ]);
  const numbers = Float32Array.from({ length: 70 }, (_, i) => Math.sin(i * 12.9898) * 43758.5453);
  const sumOf = (first: number, count: number): Float32Array => {
    const leaves = Array.from({ length: count }, (_, i) => ({ first: i, count: 1 }));
    return sumOfParts(
      leaves,
      leaves.map((_, i) => numbers.slice(first + i, first + i + 1)),
      count,
    );
  };
  for (let total = 1; total <= 70; total++) {
    const alone = sumOf(0, total)[0];
    for (let size = 1; size <= Math.min(total, 9); size++) {
      const runs = Array.from({ length: size }, (_, rank) => runOf(rank, size, total));
      assert.equal(
        runs.flatMap(({ first, count }) => Array.from({ length: count }, (_, i) => first + i)),
        Array.from({ length: total }, (_, i) => i),
      );
      const parts = runs.flatMap((run) => partsOf(run, total));
      const sums = parts.map(({ first, count }) => sumOf(first, count));
      assert.is(sumOfParts(parts, sums, total)[0], alone, `${total} micro-batches, ${size} ranks`);
      for (const { first, count } of parts) {
        const ends = Array.from({ length: count }, (_, i) => endsPart(parts, first + i));
        assert.equal(ends, [...Array(count - 1).fill(false), true]);
      }
    }
  }
});

test.run();
