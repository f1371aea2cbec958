import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { packBestFit } from '#src/data/packing/bestFit.js';

/** Looks at every bin for every item. */
function packSlowly(sizes: readonly number[], capacity: number): number[] {
  const order = sizes.map((_, i) => i).sort((a, b) => sizes[b]! - sizes[a]! || a - b);
  const bins: { free: number; touched: number }[] = [];
  const result: number[] = [];
  for (const [time, i] of order.entries()) {
    const fitting = bins.filter(({ free }) => free >= sizes[i]!);
    const best = fitting.sort((a, b) => a.free - b.free || b.touched - a.touched)[0];
    const bin = best ?? { free: capacity, touched: 0 };
    if (!best) bins.push(bin);
    bin.free -= sizes[i]!;
    bin.touched = time;
    result[i] = bins.indexOf(bin);
  }
  return result;
}

const problem = fc
  .integer({ min: 1, max: 70 })
  .chain((capacity) =>
    fc.tuple(fc.array(fc.integer({ min: 1, max: capacity }), { maxLength: 60 }), fc.constant(capacity)),
  );

test('each item goes where it leaves least room, the largest first', () => {
  const check = ([sizes, capacity]: [number[], number]) =>
    assert.equal([...packBestFit(sizes, capacity)], packSlowly(sizes, capacity));
  fc.assert(fc.property(problem, check), { seed: 1, numRuns: 500 });
});

test('a hundred thousand items, none over the capacity', () => {
  const sizes = Array.from({ length: 100_000 }, (_, i) => 1 + ((i * 7919) % 40));
  const capacity = 1024;
  const filled: number[] = [];
  packBestFit(sizes, capacity).forEach((bin, i) => {
    filled[bin] = (filled[bin] ?? 0) + sizes[i]!;
  });
  assert.ok(filled.every((size) => size <= capacity));
  const total = sizes.reduce((sum, size) => sum + size, 0);
  assert.is(filled.length, Math.ceil(total / capacity), 'small items leave no gaps');
});

test.run();
