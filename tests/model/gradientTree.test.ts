import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { foldsAfter, levelsOf } from '#src/model/gradientTree.js';

/** The tree as text, by moving names of leaves about as the programs move sums. */
function treeOf(count: number): string {
  let sum = '';
  const waiting: string[] = [];
  const add = (left: string, right: string) => (left && right ? `(${left} ${right})` : left + right);
  for (let index = 0; index < count; index++) {
    sum = add(sum, String(index));
    for (const { kind, level } of foldsAfter(index, count)) {
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

test.run();
