import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { appendWindow, evaluationRows } from '#src/data/packing/windows.js';
import { NO_LABEL } from '#src/data/packing.js';

test('evaluation windows predict their own tokens, each once', () => {
  for (const sequence of [2, 3, 7, 64]) {
    for (let length = 0; length <= 30; length++) {
      const tokens = Uint32Array.from({ length }, (_, i) => 100 + i);
      const rows = [...evaluationRows({ tokens }, sequence, 'file')];
      const predicted = rows.flatMap((row) => [...row.labels].filter((label) => label !== NO_LABEL));
      assert.equal(
        predicted,
        [...tokens].filter((_, i) => i % sequence !== 0),
      );
      for (const [w, row] of rows.entries()) {
        const window = tokens.subarray(w * sequence, (w + 1) * sequence);
        assert.equal([...row.tokens], [...window, ...new Array(sequence - window.length).fill(0)]);
        for (let t = 0; t < sequence; t++) {
          assert.is(row.positions[t], t < window.length ? t : 0);
          assert.is(row.labels[t], t + 1 < window.length ? window[t + 1] : NO_LABEL);
        }
        assert.is.not(row.labels[0], NO_LABEL, 'no window is there for nothing');
        assert.equal(row.documents, ['file']);
      }
    }
  }
});

test('windows of masked tokens: those with something to predict, as long as they are', () => {
  const tokens = Uint32Array.from({ length: 11 }, (_, i) => 100 + i);
  const learned = Uint8Array.from(tokens, (_, i) => (i === 5 || i === 8 ? 1 : 0));
  const rows = [...evaluationRows({ tokens, learned }, 4, 'file')];
  // Of tokens 4 to 7 one is predicted; token 8 is the first of its window.
  assert.is(rows.length, 1);
  assert.is(rows[0]!.filled, 4);
  assert.equal([...rows[0]!.labels], [105, NO_LABEL, NO_LABEL, NO_LABEL]);
  const [row, window] = [{ ...rows[0]! }, { ...rows[0]! }];
  assert.not(appendWindow(row, window), 'slots without a label are taken, too');
});

test('short windows share a row, each with positions of its own', () => {
  const windowOf = (ids: number[], id: string) =>
    [...evaluationRows({ tokens: Uint32Array.from(ids) }, 6, id)][0]!;
  const row = windowOf([7, 8], 'a');
  assert.ok(appendWindow(row, windowOf([4, 5, 6], 'b')));
  assert.equal([...row.tokens], [7, 8, 4, 5, 6, 0]);
  assert.equal([...row.labels], [8, NO_LABEL, 5, 6, NO_LABEL, NO_LABEL]);
  assert.equal([...row.positions], [0, 1, 0, 1, 2, 0]);
  assert.equal(row.documents, ['a', 'b']);
  assert.is(row.filled, 5);
  const before = { ...row, tokens: row.tokens.slice() };
  assert.not(appendWindow(row, windowOf([1, 2], 'c')), 'one slot is left');
  assert.equal(row, before);
});

test.run();
