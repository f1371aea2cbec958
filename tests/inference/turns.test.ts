import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Turns } from '#src/inference/turns.js';
import { inputErrorOf } from '../inputErrors.js';

test('each call begins when the one before it is over, also when that failed', async () => {
  const turns = new Turns('the shop');
  const log: string[] = [];
  const call = (name: string, fails = false) =>
    turns.take(async () => {
      log.push(`${name} begins`);
      await new Promise(setImmediate);
      log.push(`${name} ends`);
      if (fails) throw new Error(name);
      return name;
    });
  const outcomes = await Promise.allSettled([call('a'), call('b', true), call('c')]);
  assert.equal(log, ['a begins', 'a ends', 'b begins', 'b ends', 'c begins', 'c ends']);
  assert.equal(
    outcomes.map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled'],
  );
});

test('the end waits for what was asked before, comes once, and refuses what is asked later', async () => {
  const turns = new Turns('the shop');
  const log: string[] = [];
  const before = turns.take(async () => {
    await new Promise(setImmediate);
    log.push('before');
  });
  const ends = [turns.end(async () => void log.push('end')), turns.end(async () => void log.push('again'))];
  const late = await inputErrorOf(() => turns.take(async () => log.push('late')));
  await Promise.all([before, ...ends]);
  assert.equal(log, ['before', 'end']);
  assert.is(late, 'expected the shop to be open, found that the shop is closed');
});

test.run();
