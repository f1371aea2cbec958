import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { charOfByte } from '#src/data/tokenizer/bytes.js';
import { loadTokenizer } from '#src/data/tokenizer.js';
import { inputErrorOf } from '../inputErrors.js';
import { sharedPath } from '../support.js';
import { both, expectSameIds, expectSameOnNastyText, type Pair, SEED } from './differential.js';
import { byteLevelJson, FAMILIES, VARIANTS } from './families.js';
import { nastyText, validText } from './nastyText.js';
import { tokenizerFolder } from './vocabularies.js';

const test = suite('byte-level tokenizers');
const llama3 = sharedPath('data/tokenizers/llama3');
const withLlama3 = llama3 === undefined ? test.skip : test;
let loadedLlama3: Promise<Pair> | undefined;

function bothLlama3(): Promise<Pair> {
  loadedLlama3 ??= both(llama3!);
  return loadedLlama3;
}

async function expectTextBack({ ours }: Pair, runs: number): Promise<void> {
  const property = fc.property(validText, (text) => {
    assert.is(ours.decode(ours.encode(text, { addSpecialTokens: false })), text);
  });
  fc.assert(property, { numRuns: runs, seed: SEED, includeErrorInReport: true });
}

/** Whole, and in all ways to cut ids. */
async function expectSameIncrementally({ ours }: Pair, runs: number): Promise<void> {
  const property = fc.property(nastyText, (text) => {
    const ids = ours.encode(text);
    const decoder = ours.decoder();
    const parts = Array.from(ids, (id) => decoder.push(id));
    for (const part of parts) assert.not.match(part, /\p{Surrogate}/u);
    assert.is(parts.join('') + decoder.end(), ours.decode(ids));
  });
  fc.assert(property, { numRuns: runs, seed: SEED, includeErrorInReport: true });
}

for (const [name, { json, lossless }] of Object.entries(FAMILIES)) {
  test(`${name}: ids and texts of nasty strings`, async () => {
    const pair = await both(tokenizerFolder(json));
    await expectSameOnNastyText(pair, 2000);
    if (lossless) await expectTextBack(pair, 1000);
    await expectSameIncrementally(pair, 300);
  });
}

for (const [name, json] of Object.entries(VARIANTS)) {
  test(`ids and texts: ${name}`, async () => {
    await expectSameOnNastyText(await both(tokenizerFolder(json)), 300);
  });
}

withLlama3('the real Llama 3: ids and texts of nasty strings', async () => {
  const pair = await bothLlama3();
  await expectSameOnNastyText(pair, 3000);
  await expectTextBack(pair, 1000);
});

withLlama3('the real Llama 3: the beginning of every text', async () => {
  const pair = await bothLlama3();
  const folder = sharedPath('data')!;
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  const files = names.filter((name) => /\.(txt|jsonl|csv|json)$/.test(name));
  assert.ok(files.length > 100, `${files.length} files`);
  await expectSameIds(
    pair,
    files.map((name) => readFileSync(join(folder, name), 'utf8').slice(0, 12_000)),
  );
});

const letter = fc.constantFrom('a', 'b', 'c', 'ab', 'é');
/** Words of up to some thousand letters: random, or with a period. */
const longWord = fc.oneof(
  fc.array(letter, { minLength: 40, maxLength: 3000, size: 'max' }).map((parts) => parts.join('')),
  fc
    .tuple(fc.array(letter, { minLength: 1, maxLength: 5 }), fc.integer({ min: 100, max: 3000 }), letter)
    .map(([period, times, end]) => period.join('').repeat(times) + end),
);

/** Merges of pairs of earlier tokens, in any order. */
const anyMerges = fc
  .array(fc.tuple(fc.nat(), fc.nat(), fc.nat()), { minLength: 1, maxLength: 40 })
  .map((picks) => {
    const tokens = ['a', 'b', 'c', charOfByte[0xc3]!, charOfByte[0xa9]!];
    const merges: [string, string][] = [];
    for (const [left, right, place] of picks) {
      const pair: [string, string] = [tokens[left % tokens.length]!, tokens[right % tokens.length]!];
      if (merges.some((merge) => merge.join(' ') === pair.join(' ')) || pair.join('').length > 40) continue;
      merges.splice(place % (merges.length + 1), 0, pair);
      tokens.push(pair.join(''));
    }
    return merges;
  });

test('long words are merged in windows as if they were whole, whatever the merges', async () => {
  const property = fc.asyncProperty(
    anyMerges,
    fc.array(longWord, { minLength: 1, maxLength: 4 }),
    async (merges, words) => {
      await expectSameIds(await both(tokenizerFolder(byteLevelJson({ merges }))), words);
    },
  );
  await fc.assert(property, { numRuns: 100, seed: SEED, includeErrorInReport: true });
});

test('a window that does not fit is followed by wider ones', async () => {
  // No window of less than 4096 letters ends with a token that the next one begins with.
  const chain = Array.from({ length: 12 }, (_, i): [string, string] => [
    'b'.repeat(2 ** i),
    'b'.repeat(2 ** i),
  ]);
  const pair = await both(tokenizerFolder(byteLevelJson({ merges: [...chain, ['a', 'b'.repeat(4096)]] })));
  await expectSameIds(pair, [`a${'b'.repeat(4096 * 3)}`, 'b'.repeat(10_000), `c${'b'.repeat(5000)}ab`]);
});

test('what is remembered of words does not change ids', async () => {
  const pair = await both(tokenizerFolder(FAMILIES['Llama 3']!.json));
  const words = Array.from({ length: 60_000 }, (_, i) => ((i * 7919) % 100_003).toString(36 - (i % 9)));
  await expectSameIds(pair, [words.join(' '), words.join('x é'), words.reverse().join(' ')]);
});

test('a pattern without a fast way says so once', async () => {
  const warnings: string[] = [];
  const listen = ({ message }: Error) => warnings.push(message);
  process.on('warning', listen);
  const dir = tokenizerFolder(
    byteLevelJson({
      pre_tokenizer: { type: 'Split', pattern: { Regex: 'some|thing' }, behavior: 'Isolated', invert: false },
    }),
  );
  for (let i = 0; i < 3; i++) await loadTokenizer(dir);
  await new Promise((resolve) => setImmediate(resolve));
  process.off('warning', listen);
  assert.is(warnings.length, 1);
  assert.match(
    warnings[0]!,
    /tokenizer\.json: pre_tokenizer: no fast way to split is known for .*some\|thing/,
  );
});

const unsupported: [pattern: string, message: RegExp][] = [
  ['(a)\\1', /\\1 is not supported/],
  ['^a', /\^ is not supported/],
  ['a$', /\$ is not supported/],
  ['[a&&b]', /&& is not supported/],
  ['[a[b]]', /a class in a class/],
  ['[[:alpha:]]', /a class in a class/],
  ['(?m:a)', /\(\?m: is not supported/],
  ['a{2}+', /\{2\}\+ is not supported/],
  ['\\bword', /\\b is not supported/],
  ['(?i:groß)', /"ß" without regard to case/],
  ['(?i:mess)', /"ss" without regard to case/],
  ['(?i:\\p{Lu})', /\\p\{Lu\} without regard to case/],
  ['\\p{Alnum}x', /\\p\{Alnum\} is not supported/],
  ['(a', /"\(" without "\)"/],
  ['[a', /an end within a class/],
];

for (const [pattern, message] of unsupported) {
  test(`refused by name: the pattern ${pattern}`, async () => {
    const pre_tokenizer = { type: 'Split', pattern: { Regex: pattern }, behavior: 'Isolated', invert: false };
    const found = await inputErrorOf(() => loadTokenizer(tokenizerFolder(byteLevelJson({ pre_tokenizer }))));
    assert.match(found, /tokenizer\.json: pre_tokenizer\.pattern: expected a supported regular expression/);
    assert.match(found, message);
  });
}

withLlama3('the real Llama 3: BOS around a text, sizes and names', async () => {
  const { ours: tokenizer } = await bothLlama3();
  assert.is(tokenizer.vocabularySize, 128_256);
  assert.is(tokenizer.idOf('<|begin_of_text|>'), 128_000);
  assert.equal(Array.from(tokenizer.encode('Hello world')), [128_000, 9906, 1917]);
  assert.is(tokenizer.decode([128_000, 9906, 1917], { skipSpecialTokens: true }), 'Hello world');
});

test.run();
