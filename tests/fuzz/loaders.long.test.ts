import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { fuzz } from './fuzz.js';

test('500 damaged files: an error of one line or a result, soon and in little memory', async () => {
  const { results, errors } = await fuzz('loaders', 0, 500);
  assert.is(results + errors, 500);
  assert.ok(results > 20 && errors > 200, `${results} read, ${errors} refused`);
});

test('500 damaged text files: likewise, in every format', async () => {
  const { results, errors } = await fuzz('documents', 0, 500);
  assert.is(results + errors, 500);
  assert.ok(results > 20 && errors > 200, `${results} read, ${errors} refused`);
});

test.run();
