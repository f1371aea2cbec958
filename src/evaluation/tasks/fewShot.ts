import { InputError } from '../../base/errors.js';
import type { Item, Part } from './item.js';
import { PythonRandom } from './pythonRandom.js';

/** lm_eval's own, for every task and every run. */
const SEED = 1234;

/**
 * The items of the pool that are shown before each item, in their order: `shots` for each, as lm_eval draws them. One
 * stream of random numbers goes through all items, so those of item i take the draws of all items before it.
 * @param count how many items, from the first on
 * @returns for each item the places of its examples in the pool
 * @throws InputError when the pool is too small
 */
export function drawExamples<I extends Item>(part: Part<I>, shots: number, count: number): number[][] {
  const { name, items, pool, draw } = part;
  const drawn = draw === 'others' ? shots + 1 : shots;
  if (shots > 0 && drawn > pool.length) {
    throw new InputError(
      `${name}: expected at least ${drawn} items to draw ${shots} examples from, found ${pool.length}; lower --shots`,
    );
  }
  const chosen = items.slice(0, count);
  if (shots === 0) return chosen.map(() => []);
  if (draw === 'first') return chosen.map(() => Array.from({ length: shots }, (_, i) => i));
  const random = new PythonRandom(SEED);
  const same = draw === 'others' ? sameItems(part) : () => false;
  return chosen.map((item) =>
    random
      .sample(pool.length, drawn)
      .filter((place) => !same(item, place))
      .slice(0, shots),
  );
}

/** Whether an item of the pool has the very fields of another item. */
function sameItems<I extends Item>({ pool }: Part<I>): (item: I, place: number) => boolean {
  const keys = new Map<unknown, string>();
  const keyOf = ({ record }: Item) => {
    const key = keys.get(record) ?? JSON.stringify(record);
    keys.set(record, key);
    return key;
  };
  return (item, place) => keyOf(item) === keyOf(pool[place]!);
}
