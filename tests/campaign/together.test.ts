import { test } from 'uvu';
import { makeFixture } from '../fixtures.js';
import { startInOneFolder, startTogether } from '../run/together.js';

const fixture = makeFixture('campaign-together');
const ROUNDS = 50;

test('two runs started at once have a folder each, fifty times', async () => {
  for (let round = 0; round < ROUNDS; round++) await startTogether(fixture, 2);
});

test('of two runs started at once in one folder one is refused, fifty times', async () => {
  for (let round = 0; round < ROUNDS; round++) await startInOneFolder(fixture);
});

test.run();
