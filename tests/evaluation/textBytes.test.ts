import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { appendPiece, emptyRow } from '#src/data/packing/rows.js';
import { evaluationRows } from '#src/data/packing/windows.js';
import { loadTokenizer, type Tokenizer } from '#src/data/tokenizer.js';
import { predictedBytes } from '#src/evaluation/textBytes.js';
import { miniaturePaths } from '#src/prepare/miniature.js';
import { SEED } from '../data/differential.js';
import { FAMILIES } from '../data/families.js';
import { validText } from '../data/nastyText.js';
import { tokenizerFolder } from '../data/vocabularies.js';

/** UTF-8 bytes that tokens stand for, and that a row predicts. */

const tokenizers: [name: string, tokenizer: Tokenizer][] = [
  ['the miniature', await loadTokenizer(miniaturePaths().student)],
];
for (const [name, { json, lossless }] of Object.entries(FAMILIES)) {
  if (lossless) tokenizers.push([name, await loadTokenizer(tokenizerFolder(json))]);
}
const total = (lengths: readonly number[]): number => lengths.reduce((sum, length) => sum + length, 0);

const tests = suite('bytes of tokens');

for (const [name, tokenizer] of tokenizers) {
  tests(`${name}: they add up to the bytes of the text, special tokens have none`, () => {
    const property = fc.property(validText, (text) => {
      const ids = tokenizer.encode(text);
      const lengths = tokenizer.byteLengths(ids);
      assert.is(lengths.length, ids.length);
      const expected = Buffer.byteLength(tokenizer.decode(ids, { skipSpecialTokens: true }));
      assert.is(total(lengths), expected);
    });
    fc.assert(property, { numRuns: 500, seed: SEED, includeErrorInReport: true });
  });
}

tests('parts of a character have its bytes, also where a window begins between them', () => {
  const [, tokenizer] = tokenizers[0]!;
  const text = 'Mia \u{1f600} €';
  const ids = tokenizer.encode(text);
  assert.is(ids[0], tokenizer.bosId);
  const lengths = tokenizer.byteLengths(ids);
  assert.is(total(lengths), Buffer.byteLength(text));
  // "▁", four bytes, "▁", three bytes.
  assert.equal(lengths.slice(-9), [1, 1, 1, 1, 1, 1, 1, 1, 1]);
  assert.is(lengths[0], 0);
  for (let sequence = 2; sequence <= ids.length + 1; sequence++) {
    const rows = [...evaluationRows({ tokens: ids }, sequence, 'text')];
    const unpredicted = lengths.filter((_, i) => i % sequence === 0);
    const bytes = rows.reduce((sum, row) => sum + predictedBytes(tokenizer, row), 0);
    // The first token of a window is not predicted; a space that begins one is not lost for the token behind it.
    assert.is(bytes, Buffer.byteLength(text) - total(unpredicted), `windows of ${sequence}`);
  }
});

tests('a row has those of its pieces: what is learned of each', () => {
  const [, tokenizer] = tokenizers[0]!;
  const row = emptyRow(64);
  const add = (text: string, learned?: Uint8Array) =>
    appendPiece(row, { document: text, tokens: tokenizer.encode(text), learned });
  add('Mia had 2 apples.');
  assert.is(predictedBytes(tokenizer, row), 17);
  const tokens = tokenizer.encode('2 + 2 = 4.');
  add('2 + 2 = 4.', new Uint8Array(tokens.length).fill(1, -3));
  // " 4.": the prompt has no bytes.
  assert.is(predictedBytes(tokenizer, row), 17 + 3);
  assert.is(predictedBytes(tokenizer, emptyRow(8)), 0);
});

tests('ids without a token have none', () => {
  const [, tokenizer] = tokenizers[0]!;
  assert.equal(
    tokenizer.byteLengths([1_000_000, ...tokenizer.encode('Mia', { addSpecialTokens: false })]),
    [0, 3],
  );
  assert.equal(tokenizer.byteLengths([]), []);
});

tests.run();
