import { join } from 'node:path';
import fc from 'fast-check';
import { Tokenizer as Oracle } from 'tokenizers';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { tokenizerFiles, trainBpe } from '#recipes/miniature/bpe.js';
import { miniatureDocument } from '#recipes/miniature/grammar.js';
import { loadTokenizer } from '#src/data/tokenizer.js';
import { nastyText } from '../data/nastyText.js';
import { tokenizerFolder } from '../data/vocabularies.js';

const SIZE = 1024;
const SEED = 11;
const texts = Array.from({ length: 2000 }, (_, index) => miniatureDocument(SEED, index, 'target').text);
const vocabulary = trainBpe(texts, SIZE);
const { tokenizer, config } = tokenizerFiles(vocabulary);
const folder = tokenizerFolder(tokenizer, config);
const ours = await loadTokenizer(folder);
const oracle = Oracle.fromFile(join(folder, 'tokenizer.json'));

async function expectSame(text: string): Promise<void> {
  const ids = Array.from(ours.encode(text));
  assert.equal(ids, (await oracle.encode(text)).getIds(), JSON.stringify(text));
  assert.is(ours.decode(ids), await oracle.decode(ids, false));
}

const bpe = suite('miniature/bpe');

bpe('has the size that was asked for, special tokens and bytes first', () => {
  const { tokens, merges } = vocabulary;
  assert.is(tokens.length, SIZE);
  assert.is(new Set(tokens).size, SIZE);
  assert.equal(tokens.slice(0, 4), ['<unk>', '<s>', '</s>', '<0x00>']);
  assert.is(tokens[258], '<0xFF>');
  assert.equal([ours.vocabularySize, ours.bosId, ours.eosId], [SIZE, 1, 2]);
  const made = merges.map((pair) => pair.join(''));
  assert.equal(tokens.slice(-merges.length), made);
});

bpe('merges the most frequent pair first and stops when none occurs twice', () => {
  const { merges } = trainBpe(['ab ab ab abc', 'bc'], SIZE);
  assert.equal(merges, [
    ['a', 'b'],
    ['▁', 'ab'],
  ]);
  // Equally frequent: the first in code unit order.
  assert.equal(trainBpe(['xy xy', 'dc dc'], SIZE).merges[0], ['d', 'c']);
});

bpe('a merge stays inside a word, of letters alone', () => {
  for (const pair of vocabulary.merges) assert.match(pair.join(''), /^▁?[A-Za-z]+$/);
});

bpe('does not depend on the order of the texts', () => {
  assert.equal(trainBpe(texts.toReversed(), SIZE), vocabulary);
});

bpe('ids are those of Hugging Face on generated text, which comes back whole', async () => {
  for (const text of texts.slice(0, 300)) {
    await expectSame(text);
    assert.is(ours.decode(ours.encode(text, { addSpecialTokens: false })), text);
  }
});

bpe('ids are those of Hugging Face on nasty text', async () => {
  await fc.assert(fc.asyncProperty(nastyText, expectSame), { numRuns: 2000, seed: SEED });
});

bpe('common words are one token', () => {
  for (const word of ['Mia', 'had', 'the', 'apples']) {
    assert.is(ours.encode(word, { addSpecialTokens: false }).length, 1, word);
  }
  const tokens = texts.reduce((sum, text) => sum + ours.encode(text).length, 0);
  const characters = texts.reduce((sum, text) => sum + text.length, 0);
  assert.ok(characters / tokens > 2.5, `${characters / tokens} characters a token`);
});

bpe.run();
