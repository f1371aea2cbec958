import { createHash } from 'node:crypto';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { piecesOf } from '#src/training/pieces.js';

/** Rows of 6 slots: two pieces and padding; one piece that fills a row; one of a single token 0, and padding. */
const batch = {
  tokens: Uint32Array.of(7, 8, 9, 7, 8, 0, /**/ 1, 2, 3, 4, 5, 6, /**/ 0, 0, 0, 0, 0, 0),
  positions: Uint32Array.of(0, 1, 2, 0, 1, 0, /**/ 0, 1, 2, 3, 4, 5, /**/ 0, 0, 0, 0, 0, 0),
  filled: [5, 6, 1],
};

test('pieces begin where positions do, padding is none', () => {
  const found = piecesOf(batch).map(({ first, count }) => [first, count]);
  assert.equal(found, [
    [0, 3],
    [3, 2],
    [6, 6],
    [12, 1],
  ]);
});

test('the key is of the tokens alone', () => {
  const [first, second] = piecesOf(batch);
  const expected = createHash('sha256').update(Buffer.from('070000000800000009000000', 'hex')).digest('hex');
  assert.is(first!.key, expected.slice(0, 32));
  assert.is.not(second!.key, first!.key);
  const elsewhere = {
    tokens: Uint32Array.of(5, 7, 8, 9),
    positions: Uint32Array.of(0, 0, 1, 2),
    filled: [4],
  };
  assert.is(piecesOf(elsewhere)[1]!.key, first!.key);
});

test.run();
