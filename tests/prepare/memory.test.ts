import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { divisorsOf } from '#src/prepare/memory.js';

test('divisors come in descending order, those of a large prime in no time', () => {
  assert.equal(divisorsOf(1), [1]);
  assert.equal(divisorsOf(64), [64, 32, 16, 8, 4, 2, 1]);
  assert.equal(divisorsOf(60), [60, 30, 20, 15, 12, 10, 6, 5, 4, 3, 2, 1]);
  assert.equal(divisorsOf(4_294_967_291), [4_294_967_291, 1]);
});

test.run();
