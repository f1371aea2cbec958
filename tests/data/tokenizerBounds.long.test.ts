import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { loadTokenizer } from '#src/data/tokenizer.js';
import { loraRank } from '#src/model/lora.js';
import { inputErrorOf } from '../inputErrors.js';
import { byteTokens, sentencePiece, tokenizerFolder } from './vocabularies.js';

/** Files from strangers: expressions that never end, and texts that grow without end, are refused in one line. */

type Parts = Partial<Parameters<typeof sentencePiece>[0]>;
const made = (parts: Parts) =>
  loadTokenizer(tokenizerFolder(sentencePiece({ symbols: [...byteTokens, 'a'], merges: [], ...parts })));

const split = (Regex: string) => ({ type: 'Split', pattern: { Regex }, behavior: 'Isolated', invert: false });
const replace = (pattern: object, content: string) => ({ type: 'Replace', pattern, content });
const sequence = (normalizers: object[]) => ({ type: 'Sequence', normalizers });
const letters = 'a'.repeat(60);

const ENDLESS = ['(?:a|aa|a*)+b', '(?:(?:a+)+)+b', '(a|a)*b', '(?:a*)*(?!a)b'];

for (const source of ENDLESS) {
  test(`${source} does not hang a tokenizer`, async () => {
    for (const parts of [
      { normalizer: null, pre_tokenizer: split(source) },
      { normalizer: replace({ Regex: source }, 'x') },
    ]) {
      const tokenizer = await made(parts);
      const start = performance.now();
      assert.match(
        await inputErrorOf(() => tokenizer.encode(letters)),
        /tokenizer\.json: (pre_tokenizer|normalizer.*): expected a regular expression that can be matched, found /,
      );
      assert.ok(performance.now() - start < 20_000);
      assert.ok(tokenizer.encode('ab').length > 0, 'other texts are as before');
    }
  });
}

const doubled = Array.from({ length: 30 }, () => replace({ String: 'a' }, 'aa'));
const GROWING: Record<string, object> = {
  'a chain of replacements of bytes': sequence(doubled),
  'a chain of replacements of strings': sequence([...doubled, { type: 'NFC' }]),
  'a chain of replacements by expressions': sequence(doubled.map(() => replace({ Regex: 'a' }, 'aa'))),
  'a long content': replace({ String: 'a' }, 'b'.repeat(100_000)),
  'a long content for an expression': replace({ Regex: 'a' }, 'b'.repeat(100_000)),
  'a long prefix': { type: 'Prepend', prepend: 'b'.repeat(10_000_000) },
  'many prefixes': sequence(
    Array.from({ length: 400 }, () => ({ type: 'Prepend', prepend: 'b'.repeat(100) })),
  ),
};

for (const [what, normalizer] of Object.entries(GROWING)) {
  test(`${what} does not fill the memory`, async () => {
    const tokenizer = await made({ normalizer });
    const text = 'a'.repeat(what.includes('prefix') ? 1 : 4096);
    assert.match(
      await inputErrorOf(() => tokenizer.encode(text)),
      /tokenizer\.json: normalizer.*: expected replacements that make a text 64 times as long at most/,
    );
    assert.ok(tokenizer.memoryBytes < 2 ** 26, `${tokenizer.memoryBytes}`);
  });
}

test('a decoder that makes a token grow without end is refused, and usual growth is not', async () => {
  const decoders = Array.from({ length: 40 }, () => replace({ String: 'a' }, 'aa'));
  const tokenizer = await made({ decoder: { type: 'Sequence', decoders } });
  assert.match(
    await inputErrorOf(() => tokenizer.decode(tokenizer.encode('a'))),
    /decoder: expected replacements/,
  );
  const usual = await made({ normalizer: sequence([replace({ String: ' ' }, '▁'), { type: 'NFKC' }]) });
  assert.ok(usual.encode(' '.repeat(10_000)).length > 0);
  assert.ok(usual.encode('\ufdfa'.repeat(10_000)).length > 0);
});

test('a template of more ids than any real one is refused', async () => {
  const ids = Array.from({ length: 2000 }, () => 1);
  const post_processor = {
    type: 'TemplateProcessing',
    single: [{ SpecialToken: { id: 'x', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
    special_tokens: { x: { id: 'x', ids, tokens: ids.map(() => 'x') } },
  };
  assert.match(await inputErrorOf(() => made({ post_processor })), /expected 1024 ids around a text at most/);
});

const module = 'model.layers.0.self_attn.q_proj';
const options = { rank: 8, alpha: 16, rsLora: false, dropout: 0, targetModules: ['q_proj'] };
const rankOf = (pattern: string) => loraRank({ ...options, rankPattern: { [pattern]: 4 } }, module);

test('the patterns of an adapter end, or are refused', async () => {
  for (const pattern of ['(?:[a-z_.0-9]+)+X', '(?:[a-z_.0-9]|[a-z.]|[a-z])*X', '((?:\\w|\\.)+)+!']) {
    assert.match(
      await inputErrorOf(() => rankOf(pattern)),
      /rank and alpha patterns: expected .* that can be matched/,
    );
  }
  assert.equal(
    [
      'q_proj',
      'self_attn.q_proj',
      '.*q_proj',
      'layers\\.\\d+\\.self_attn.(q|k)_proj',
      'proj',
      'layers.1.*',
    ].map(rankOf),
    [4, 4, 4, 4, 8, 8],
  );
});

test.run();
