import fc from 'fast-check';
import { suite } from 'uvu';
import { both, expectSameIds, expectSameOnNastyText } from '../data/differential.js';
import { FAMILIES } from '../data/families.js';
import { nastyText } from '../data/nastyText.js';
import { byteTokens, sentencePiece, tokenizerFolder } from '../data/vocabularies.js';
import { sharedPath } from '../support.js';

/** Generated strings in numbers, against the Hugging Face library. */

const test = suite('tokenizers: strings');
const STRINGS = 200_000;
const SEED = 77;

const symbols = ['▁', ...'abcdehlnorstw', 'é', ...byteTokens];
const merges = [
  '▁ t',
  'h e',
  '▁t he',
  '▁ a',
  'o r',
  '▁ w',
  '▁w or',
  'l d',
  'a b',
  'ab ab',
  'a a',
  'aa aa',
  '▁ ▁',
];

const folders: Record<string, string | undefined> = {
  ...Object.fromEntries(Object.entries(FAMILIES).map(([name, { json }]) => [name, tokenizerFolder(json)])),
  'Llama 2': tokenizerFolder(sentencePiece({ symbols, merges })),
  'the real Llama 3': sharedPath('data/tokenizers/llama3'),
  stories260k: sharedPath('data/models/stories260k'),
};

for (const [name, folder] of Object.entries(folders)) {
  const run = folder === undefined ? test.skip : test;
  run(`${name}: ${STRINGS} nasty strings and some of over 1 MB`, async () => {
    const pair = await both(folder!);
    await expectSameOnNastyText(pair, STRINGS, SEED);
    await expectSameIds(pair, fc.sample(nastyText, { numRuns: 200, seed: SEED }).map(toMegabyte).slice(0, 5));
  });
}

function toMegabyte(text: string, index: number): string {
  const unit = text === '' ? 'a' : text;
  return unit.repeat(Math.ceil((1_050_000 + index) / unit.length));
}

test.run();
