import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { nearestName, unknownOption } from '#src/base/nearestName.js';

const NAMES = ['student', 'steps', 'warmup', 'evalEvery', 'lr'];

test('the fewest letters to add, leave out or exchange; case and leading dashes do not count', () => {
  for (const [name, nearest] of [
    ['warmpu', 'warmup'],
    ['step', 'steps'],
    ['evalevery', 'evalEvery'],
    ['students', 'student'],
    ['LR', 'lr'],
    ['--lrs', 'lr'],
  ] as const) {
    assert.is(nearestName(name, NAMES), nearest);
  }
});

test('nothing is near: no name', () => {
  for (const name of ['learningRate', '-V', 'xx', '']) assert.is(nearestName(name, NAMES), undefined, name);
});

test('an unknown option in words', () => {
  assert.is(unknownOption('--warmpu', ['--warmup']), 'unknown option --warmpu; did you mean --warmup?');
  assert.is(unknownOption('epochs', NAMES), 'unknown option epochs; see --help');
});

test('the beginning of a name is taken for it, before names that are spelt alike', () => {
  const names = ['--seed', '--sequence', '--eval-every', '--eval-data', '--out'];
  assert.is(nearestName('--seq', names), '--sequence');
  assert.is(nearestName('--SE', names), '--seed');
  assert.is(nearestName('--eval', names), '--eval-data');
  assert.is(nearestName('--sequnce', names), '--sequence');
  assert.is(nearestName('--o', names), undefined);
});

test.run();
