import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { appendWindow, evaluationRows, lengthOf, NO_LABEL } from '#src/data/packing.js';

test('short windows share a row, each with positions of its own', () => {
  const windowOf = (ids: number[], id: string) => [...evaluationRows(Uint32Array.from(ids), 6, id)][0]!;
  const row = windowOf([7, 8], 'a');
  assert.ok(appendWindow(row, windowOf([4, 5, 6], 'b')));
  assert.equal([...row.tokens], [7, 8, 4, 5, 6, 0]);
  assert.equal([...row.labels], [8, NO_LABEL, 5, 6, NO_LABEL, NO_LABEL]);
  assert.equal([...row.positions], [0, 1, 0, 1, 2, 0]);
  assert.equal(row.documents, ['a', 'b']);
  assert.is(lengthOf(row), 5);
  const before = { ...row, tokens: row.tokens.slice() };
  assert.not(appendWindow(row, windowOf([1, 2], 'c')), 'one slot is left');
  assert.equal(row, before);
});

test.run();
