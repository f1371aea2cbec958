import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { makeFixture } from '../fixtures.js';
import { killRuns, undisturbed } from '../run/kills.js';

const fixture = makeFixture('campaign');

test('a hundred SIGKILLs at random instants change no byte of the outcome', async () => {
  const struck = await killRuns(fixture, await undisturbed(fixture), 100, 2);
  assert.is(struck.length, 100);
  console.log(`last checkpoints when killed: ${struck.join(', ')}`);
});

test.run();
