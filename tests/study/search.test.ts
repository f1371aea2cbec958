import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { boundsOf, type Grid, gridAround, type Seeds, type Spot, search } from '#src/study/search.js';

/** The search on losses that are known: which cells it asks for, in which order, and where it ends. */

const test = suite('search of a line');

type Loss = (spot: Spot) => number;

/** Runs what the search wants, one cell at a time, until it wants nothing. */
function settled(grid: Grid, seeds: Seeds, loss: Loss) {
  const known = new Map<string, number>();
  const order: string[] = [];
  const lossOf = ({ place, seed }: Spot) => known.get(`${place}/${seed}`);
  for (let found = search(grid, seeds, lossOf); ; found = search(grid, seeds, lossOf)) {
    const [next] = found.wanted;
    if (!next) return { ...found, order };
    const id = `${next.place}/${next.seed}`;
    assert.not.ok(known.has(id), `${id} twice`);
    known.set(id, loss(next));
    order.push(id);
    assert.ok(order.length < 100);
  }
}

/** A valley whose lowest point is at `at`. */
const valley =
  (at: number): Loss =>
  ({ place }) =>
    (place - at) ** 2;
const one = { everywhere: 1, best: 1 };

test('an optimum inside: the middle first, then outwards', () => {
  const found = settled(gridAround(5, 8), one, valley(0));
  assert.equal(found.order, ['0/0', '-1/0', '1/0', '-2/0', '2/0']);
  assert.is(found.best, 0);
  assert.ok(found.isInside);
});

test('a grid grows at the end where the lowest loss is, until it lies inside', () => {
  const up = settled(gridAround(3, 8), one, valley(3));
  assert.equal(up.order, ['0/0', '-1/0', '1/0', '2/0', '3/0', '4/0']);
  assert.is(up.best, 3);
  assert.ok(up.isInside);
  const down = settled(gridAround(3, 8), one, valley(-2));
  assert.equal(down.order.slice(3), ['-2/0', '-3/0']);
  assert.is(down.best, -2);
});

test('one place grows to both sides', () => {
  const found = settled(gridAround(1, 8), one, valley(0));
  assert.equal(found.order, ['0/0', '-1/0', '1/0']);
  assert.ok(found.isInside);
});

test('losses that fall on and on: ends after its extensions, and an edge is no optimum', () => {
  const found = settled(gridAround(3, 4), { everywhere: 1, best: 3 }, ({ place }) => -place);
  assert.equal(found.places, [-1, 0, 1, 2, 3, 4, 5]);
  assert.not.ok(found.isInside);
  assert.is(found.order.length, 7, 'no seeds are spent on it');
});

test('what diverged is worse than anything: it bounds the grid, and no seeds are spent on it', () => {
  const loss: Loss = ({ place }) => (place > 0 ? Number.POSITIVE_INFINITY : -place);
  const found = settled(gridAround(3, 8), { everywhere: 2, best: 3 }, ({ place, seed }) =>
    place === -1 ? 5 : loss({ place, seed }),
  );
  assert.is(found.best, 0);
  assert.ok(found.isInside);
  assert.equal(
    found.order.filter((id) => id.startsWith('1/')),
    ['1/0'],
  );
  assert.equal(
    found.order.filter((id) => id.startsWith('0/')),
    ['0/0', '0/1', '0/2'],
  );
});

test('where all diverged, lower rates are tried; where all failed, none', () => {
  const from =
    (limit: number): Loss =>
    ({ place }) =>
      place > limit ? Number.POSITIVE_INFINITY : (place + 4) ** 2;
  const found = settled(gridAround(3, 8), one, from(-3));
  assert.is(found.best, -4);
  assert.ok(found.isInside);
  const none = settled(gridAround(3, 2), one, () => Number.POSITIVE_INFINITY);
  assert.is(none.best, undefined);
  assert.is(none.order.length, 5);
  const failed = settled(gridAround(3, 8), one, () => Number.NaN);
  assert.is(failed.order.length, 3);
});

test('of equal losses the lowest rate is the best one', () => {
  const found = settled(gridAround(4, 8), one, ({ place }) => Math.max(0, Math.abs(place - 0.5) - 0.5));
  assert.is(found.best, 0);
});

test('seeds are spent at the optimum and beside it, where their mean puts it', () => {
  // With one seed 0 is the best, with three it is 1.
  const noisy: Loss = ({ place, seed }) => valley(1)({ place, seed }) + (place === 0 && seed === 0 ? -2 : 0);
  const found = settled(gridAround(5, 8), { everywhere: 1, best: 3 }, noisy);
  assert.is(found.best, 1);
  const counts = new Map<string, number>();
  for (const id of found.order) {
    const place = id.split('/')[0]!;
    counts.set(place, (counts.get(place) ?? 0) + 1);
  }
  assert.equal(Object.fromEntries(counts), { '0': 3, '-1': 3, '1': 3, '-2': 1, '2': 3 });
  assert.equal(found.order.slice(0, 5), ['0/0', '-1/0', '1/0', '-2/0', '2/0'], 'after the first picture');
});

test('a list of rates is taken as it is, and has seeds at its lowest loss also at an edge', () => {
  const grid = { places: [0, 1, 2], extensions: 0 };
  const found = settled(grid, { everywhere: 1, best: 2 }, valley(5));
  assert.equal(found.order, ['1/0', '0/0', '2/0', '1/1', '2/1']);
  assert.not.ok(found.isInside);
});

test('a line without rates to find is one cell, with all its seeds', () => {
  const found = settled({ places: [0], extensions: 0 }, { everywhere: 1, best: 3 }, () => 1);
  assert.equal(found.order, ['0/0', '0/1', '0/2']);
});

test('never more cells than the bounds say', () => {
  const seeds = { everywhere: 1, best: 3 };
  for (const grid of [gridAround(3, 8), gridAround(1, 3), { places: [0, 1, 2], extensions: 0 }]) {
    const { least, most } = boundsOf(grid, seeds);
    for (let at = -9; at <= 9; at++) {
      const { order } = settled(grid, seeds, valley(at));
      assert.ok(least <= order.length && order.length <= most, `${order.length} of ${least} to ${most}`);
    }
  }
});

test.run();
