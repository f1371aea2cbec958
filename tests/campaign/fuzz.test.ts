import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { fuzz } from '../fuzz/fuzz.js';

test('10,000 damaged files: an error of one line or a result, soon and in little memory', async () => {
  const { results, errors } = await fuzz('loaders', 1000, 10_000);
  assert.is(results + errors, 10_000);
  console.log(`${results} read, ${errors} refused`);
});

test('10,000 damaged text files: likewise, in every format', async () => {
  const { results, errors } = await fuzz('documents', 1000, 10_000);
  assert.is(results + errors, 10_000);
  console.log(`${results} read, ${errors} refused`);
});

test.run();
