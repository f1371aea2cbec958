import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { nearestName } from '#src/nearestName.js';

const NAMES = ['student', 'steps', 'warmup', 'evalEvery', 'lr'];

test('the fewest letters to add, leave out or exchange; case does not count', () => {
  for (const [name, nearest] of [
    ['warmpu', 'warmup'],
    ['step', 'steps'],
    ['evalevery', 'evalEvery'],
    ['students', 'student'],
    ['LR', 'lr'],
  ] as const) {
    assert.is(nearestName(name, NAMES), nearest);
  }
});

test.run();
