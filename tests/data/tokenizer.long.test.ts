import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Bpe } from '#src/data/tokenizer/bpe.js';
import { readTokenizerFile } from '#src/data/tokenizer/file.js';
import { firstDifference, loadTokenizer } from '#src/data/tokenizer.js';
import { inputErrorOf } from '../inputErrors.js';
import { sharedPath } from '../support.js';
import { both, expectSameIds, expectSameOnNastyText, SEED } from './differential.js';
import { nastyText } from './nastyText.js';
import {
  byteTokens,
  prepend,
  randomVocabulary,
  replaceSpaces,
  sentencePiece,
  sequence,
  type TokenizerJson,
  tokenizerFolder,
} from './vocabularies.js';

const stories = sharedPath('data/models/stories260k');
const withStories = stories === undefined ? test.skip : test;

withStories('stories260k: the ids of whole files as one document', async () => {
  const pair = await both(stories!);
  for (const name of ['tinystories.txt', 'redpajama_arxiv_sample.jsonl']) {
    const text = readFileSync(sharedPath('data/text', name)!, 'utf8');
    await expectSameIds(pair, text);
    assert.ok(pair.ours.decode(pair.ours.encode(text, { addSpecialTokens: false })) === text, name);
  }
});

withStories('stories260k: the ids of nasty strings', async () => {
  await expectSameOnNastyText(await both(stories!), 4000);
});

withStories('stories260k: BOS, EOS, sizes and names', async () => {
  const tokenizer = await loadTokenizer(stories!);
  assert.is(tokenizer.vocabularySize, 512);
  assert.is(tokenizer.bosId, 1);
  assert.is(tokenizer.eosId, 2);
  assert.is(tokenizer.tokenOf(265), '▁the');
  assert.is(tokenizer.idOf('▁the'), 265);
  assert.is(tokenizer.tokenOf(512), undefined);
  assert.equal(Array.from(tokenizer.encode('')), [1]);
  assert.equal(Array.from(tokenizer.encode('', { addSpecialTokens: false })), []);
});

const letters = ['▁', 'a', 'b', 'c', 'e', '\u0301', ...'Thword'];
const symbols = [...letters, ...byteTokens];
const merges = ['a b', '▁ a', '▁ b', '▁a b', 'ab ab', 'a a', 'aa aa', '▁ ▁', '▁▁ ▁▁', '▁▁ a'];
const [special, normalized] = [{ special: true }, { normalized: true }];

const withMetaspace = (options: object) => {
  const step = { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always', split: true, ...options };
  return { normalizer: null, pre_tokenizer: step, decoder: step };
};

const recipes: Record<string, Parameters<typeof sentencePiece>[0]> = {
  'runs of ▁': { symbols, merges },
  'merges that reach over ▁': { symbols, merges: [...merges, 'a ▁', 'a▁ b', 'b ▁▁'] },
  'merges as strings': { symbols, merges, model: { merges } },
  'a pair given twice': { symbols, merges: ['b a', 'a b', 'a a', 'a b', 'b b'] },
  'no bytes, unknown tokens fused': { symbols: letters, merges },
  'no bytes, unknown tokens not fused': { symbols: letters, merges, model: { fuse_unk: false } },
  'no ▁: unknown tokens fuse across words': { symbols: ['a', 'b'], merges: ['a b', 'b a'] },
  'some bytes missing': { symbols: symbols.slice(0, -30), merges },
  'some bytes missing, unknown tokens not fused': {
    symbols: symbols.slice(0, -60),
    merges,
    model: { fuse_unk: false },
  },
  'no unknown token: characters are dropped': { symbols: letters, merges, model: { unk_token: null } },
  'bytes not used': { symbols, merges, model: { byte_fallback: false } },
  'merges of bytes and of unknown tokens': {
    symbols: symbols.slice(0, -1),
    merges: ['<0xF0> <0x9F>', '<0x0A> <0x0A>', 'a <0x0A>', '<unk> a'],
  },
  'no normalizer': { symbols, merges, normalizer: null },
  'Prepend alone': { symbols, merges, normalizer: prepend },
  'Replace alone': { symbols, merges, normalizer: replaceSpaces },
  'Replace of and by several characters': {
    symbols,
    merges,
    normalizer: sequence(
      { type: 'Replace', pattern: { String: 'abab' }, content: 'c' },
      { type: 'Replace', pattern: { String: '  ' }, content: '' },
      { type: 'Replace', pattern: { String: '😀' }, content: ':-) ' },
      replaceSpaces,
      prepend,
    ),
  },
  'Metaspace, split': { symbols, merges, ...withMetaspace({}) },
  'Metaspace, whole': { symbols, merges, ...withMetaspace({ split: false }) },
  'Metaspace for the first text, with added tokens': {
    symbols,
    merges,
    added: { '<s>': special, a: normalized },
    ...withMetaspace({ prepend_scheme: 'first', split: false }),
  },
  'Metaspace that prepends nothing': { symbols, merges, ...withMetaspace({ prepend_scheme: 'never' }) },
  'words that are tokens, whatever the merges': {
    symbols: [...symbols, 'The', '▁word', 'a▁b'],
    merges,
    model: { ignore_merges: true },
    ...withMetaspace({}),
  },
  'no post-processor': { symbols, merges, post_processor: null },
  'added tokens with flags': {
    symbols,
    merges,
    added: {
      '<unk>': { special: true, lstrip: true },
      '<s>': { special: true, rstrip: true },
      '</s>': { special: true, lstrip: true, rstrip: true },
      '<s': {},
      word: { single_word: true },
      a: { single_word: true, lstrip: true },
      '\n': { rstrip: true },
      '\u3000': {},
      '<mask>': { lstrip: true, rstrip: true },
      '<pad>': { lstrip: true, single_word: true },
      '  ': {},
      '[X]': { single_word: true, rstrip: true },
      '😀': special,
      '\ufffd': {},
      中: { single_word: true },
    },
  },
  'added tokens in the normalized text': {
    symbols,
    merges,
    normalizer: replaceSpaces,
    added: {
      '<unk>': { special: true, normalized: true },
      '<s>': { special: true, normalized: true, lstrip: true, rstrip: true },
      '</s>': special,
      '<<s>': normalized,
      ' a': normalized,
      b: { normalized: true, single_word: true },
    },
  },
  'added tokens in the normalized text, with Prepend': {
    symbols,
    merges,
    added: { '<unk>': special, '<s>': { special: true, normalized: true }, '</s>': special, The: normalized },
  },
};

for (const [name, recipe] of Object.entries(recipes)) {
  test(`ids and texts: ${name}`, async () => {
    await expectSameOnNastyText(await both(tokenizerFolder(sentencePiece(recipe))), 300);
  });
}

test('added tokens: a match that strips into blanks already taken vanishes, as does the text in between', async () => {
  const added = { '<s>': special, '\n': { rstrip: true }, '\u3000': { lstrip: true }, '\t': {} };
  const pair = await both(tokenizerFolder(sentencePiece({ symbols, merges, added, post_processor: null })));
  for (const text of ['a\n\u3000b', '\n \u3000', '\n\t a', '\n\n \t\n b', ' \u3000a\u3000'])
    await expectSameIds(pair, text);
});

test('ids: vocabularies whose merges come in any order, word by word and as a whole', async () => {
  let independent = 0;
  const property = fc.asyncProperty(
    randomVocabulary,
    fc.array(nastyText, { maxLength: 12 }),
    async (json, texts) => {
      const dir = tokenizerFolder(json);
      const pair = await both(dir);
      const bpe = new Bpe(readTokenizerFile(dir));
      if (bpe.byWords) independent++;
      for (const text of [...texts, texts.join(' ab')]) {
        await expectSameIds(pair, text, false);
        assert.equal(bpe.encode(text), bpe.encode(text, { byWords: false }));
      }
    },
  );
  await fc.assert(property, { numRuns: 120, seed: SEED, includeErrorInReport: true });
  assert.ok(
    independent > 40 && independent < 160,
    `${independent} of 200 vocabularies have independent words`,
  );
});

const metaspace = withMetaspace({}).pre_tokenizer;

const plain = () => sentencePiece({ symbols, merges });

test('more words than are remembered give the ids of one global merge', () => {
  const bpe = new Bpe(readTokenizerFile(tokenizerFolder(plain())));
  const words = Array.from({ length: 120_000 }, (_, i) => `${(i * 7919) % 100_003}`.replaceAll('1', 'ab'));
  const text = words.join(' ');
  assert.ok(bpe.byWords);
  assert.equal(bpe.encode(text), bpe.encode(text, { byWords: false }));
});

test('a long run of one letter merges in bounded time', async () => {
  const doubling = Array.from({ length: 5 }, (_, i) => `${'a'.repeat(2 ** i)} ${'a'.repeat(2 ** i)}`);
  const tokenizer = await loadTokenizer(
    tokenizerFolder(sentencePiece({ symbols, merges: doubling, normalizer: null })),
  );
  const ids = tokenizer.encode('a'.repeat(2 ** 20 + 3), { addSpecialTokens: false });
  const token = (length: number) => tokenizer.idOf('a'.repeat(length))!;
  assert.equal(ids, Uint32Array.from([...new Array<number>(2 ** 15).fill(token(32)), token(2), token(1)]));
});

test('nothing of an earlier text is read', async () => {
  const normalizer = { type: 'Replace', pattern: { String: 'abab' }, content: 'c' };
  const tokenizer = await loadTokenizer(tokenizerFolder(sentencePiece({ symbols, merges, normalizer })));
  const tokens = (text: string) => Array.from(tokenizer.encode(text), (id) => tokenizer.tokenOf(id));
  assert.equal(tokens('eeabab'), ['<s>', 'e', 'e', 'c', '</s>']);
  assert.equal(tokens('eeaba'), ['<s>', 'e', 'e', 'ab', 'a', '</s>']);
});

test('memory grows with the largest text only', async () => {
  const tokenizer = await loadTokenizer(tokenizerFolder(plain()));
  const large = 'ab abab 😀 '.repeat(20_000);
  tokenizer.encode(large);
  const { memoryBytes } = tokenizer;
  for (let i = 0; i < 50; i++) {
    tokenizer.encode(large);
    tokenizer.encode(`ab${'ab'.repeat(i)} ${i}`);
  }
  assert.is(tokenizer.memoryBytes, memoryBytes);
});

test('a text that grows beyond all measure is refused, and the tokenizer remains usable', async () => {
  const normalizer = { type: 'Replace', pattern: { String: 'b' }, content: 'a'.repeat(50_000) };
  const tokenizer = await loadTokenizer(tokenizerFolder(sentencePiece({ symbols, merges, normalizer })));
  const message = await inputErrorOf(() => tokenizer.encode('b'.repeat(100_000)));
  assert.match(
    message,
    /normalizer: expected replacements that make a text 64 times as long at most, found .*5000000000/,
  );
  assert.equal(tokenizer.encode('ca'), Uint32Array.from([1, tokenizer.idOf('c')!, tokenizer.idOf('a')!, 2]));
});

test('decoding: special tokens, unknown ids and broken bytes as in the Hugging Face library', async () => {
  const { oracle, ours } = await both(tokenizerFolder(plain()));
  const ids = fc.array(fc.nat({ max: ours.vocabularySize + 2 }), { maxLength: 30 });
  const property = fc.asyncProperty(ids, fc.boolean(), async (list, skipSpecialTokens) => {
    assert.is(ours.decode(list, { skipSpecialTokens }), await oracle.decode(list, skipSpecialTokens));
  });
  await fc.assert(property, { numRuns: 1000, seed: SEED, includeErrorInReport: true });
});

test('incremental decoding gives the same text and never half a character', async () => {
  const tokenizer = await loadTokenizer(tokenizerFolder(plain()));
  const property = fc.property(fc.array(nastyText), (texts) => {
    const decoder = tokenizer.decoder();
    const ids = tokenizer.encode(texts.join('').replace(/[\p{Surrogate}\ufffd]/gu, ''));
    const parts = Array.from(ids, (id) => decoder.push(id));
    for (const part of parts) assert.not.match(part, /[\ufffd\p{Surrogate}]/u);
    assert.is(parts.join('') + decoder.end(), tokenizer.decode(ids));
  });
  fc.assert(property, { numRuns: 500, seed: SEED, includeErrorInReport: true });
});

test('incremental decoding: what is incomplete or broken becomes U+FFFD, then it starts anew', async () => {
  const tokenizer = await loadTokenizer(tokenizerFolder(plain()));
  const decoder = tokenizer.decoder({ skipSpecialTokens: true });
  const push = (...tokens: string[]) => tokens.map((token) => decoder.push(tokenizer.idOf(token)!));
  assert.equal(push('<s>', '▁', 'a', '<0xE2>', '<0x82>', '<0xAC>', '▁a'), ['', '', 'a', '', '', '€', ' a']);
  assert.equal(push('<0xE2>', '<0x82>', '▁a', '<0xF0>'), ['', '', '\ufffd a', '']);
  assert.is(decoder.end(), '\ufffd');
  assert.equal(push('▁a', '▁a'), ['a', ' a']);
  assert.is(decoder.push(99_999), '');
});

test('the first difference of two tokenizers', async () => {
  const load = (recipe: object) =>
    loadTokenizer(tokenizerFolder(sentencePiece({ symbols, merges, ...recipe })));
  const base = await load({});
  const difference = async (recipe: object) => firstDifference(base, await load(recipe));
  assert.is(await difference({}), undefined);
  assert.is(await difference({ model: { fuse_unk: false }, post_processor: null }), undefined);
  assert.is(await difference({ symbols: symbols.with(1, 'A') }), 'token 4: "a" and "A"');
  const size = base.vocabularySize;
  assert.is(
    await difference({ added: { '<s>': special, '<pad>': special } }),
    `token ${size}: none and "<pad>"`,
  );
  const swapped = merges.with(0, merges[1]!).with(1, merges[0]!);
  const vocab = plain().model.vocab;
  assert.is(await difference({ merges: swapped, model: { vocab } }), 'merge 0: "a" + "b" and "▁" + "a"');
  assert.is(
    await difference({ merges: merges.slice(0, -1), model: { vocab } }),
    'merge 9: "▁▁" + "a" and none',
  );
});

test('BOS and EOS come from tokenizer_config.json, as text or with flags', async () => {
  const config = { bos_token: { content: '</s>', lstrip: false }, eos_token: null };
  const tokenizer = await loadTokenizer(tokenizerFolder(plain(), config));
  assert.is(tokenizer.bosId, 2);
  assert.is(tokenizer.eosId, undefined);
  assert.is((await loadTokenizer(tokenizerFolder(plain()))).bosId, undefined);
});

const refusals: [name: string, change: (json: TokenizerJson) => unknown, message: RegExp][] = [
  [
    'pre-tokenizer',
    (json) => (json.pre_tokenizer = { type: 'Punctuation' }),
    /: pre_tokenizer\.0.*: expected Split, ByteLevel, .*"Punctuation"/,
  ],
  [
    'bytes that fall back to bytes',
    (json) => (json.pre_tokenizer = { type: 'ByteLevel' }),
    /: model\.byte_fallback: expected a token for each byte/,
  ],
  [
    'order of pre-tokenizers',
    (json) => (json.pre_tokenizer = { type: 'Sequence', pretokenizers: [metaspace, metaspace] }),
    /: pre_tokenizer: expected Metaspace once/,
  ],
  [
    'Metaspace with another replacement',
    (json) => (json.pre_tokenizer = { ...metaspace, replacement: '_' }),
    /: pre_tokenizer\.0\.replacement: expected "▁".*"_"/,
  ],
  [
    'Metaspace for the first text only, when its start may be gone',
    (json) => {
      json.pre_tokenizer = { ...metaspace, prepend_scheme: 'first' };
      json.normalizer = { type: 'Strip', strip_left: true, strip_right: false };
    },
    /: pre_tokenizer: expected no Strip beside Metaspace/,
  ],
  [
    'normalizer',
    (json) => (json.normalizer = { type: 'NFD' }),
    /: normalizer\.0.*: expected NFC, NFKC, Lowercase, .*"NFD"/,
  ],
  [
    'normalizer in a Sequence',
    (json) => (json.normalizer = sequence(prepend, { type: 'Nmt' })),
    /normalizer\.1.*"Nmt"/,
  ],
  [
    'pattern of a normalizer',
    (json) => (json.normalizer = { ...replaceSpaces, pattern: { Regex: '(a)\\1' } }),
    /: normalizer\.0\.pattern: .*\\1 is not supported/,
  ],
  ['decoder', (json) => (json.decoder = { type: 'WordPiece' }), /: decoder\.0.*ByteFallback.*"WordPiece"/],
  [
    'decoder order',
    (json) => (json.decoder = { type: 'Sequence', decoders: [{ type: 'Fuse' }, { type: 'ByteFallback' }] }),
    /: decoder: expected .*the order/,
  ],
  [
    'post-processor',
    (json) => (json.post_processor = { type: 'BertProcessing' }),
    /: post_processor\.0.*: expected TemplateProcessing, .*"BertProcessing"/,
  ],
  ['model', (json) => (json.model.type = 'Unigram'), /: model\.type: expected BPE.*"Unigram"/],
  ['affix', (json) => (json.model.end_of_word_suffix = '</w>'), /: model\.end_of_word_suffix: .*"<\/w>"/],
  ['dropout', (json) => (json.model.dropout = 0.1), /: model\.dropout: .*0\.1/],
  ['id', (json) => (json.model.vocab.a = -1), /: model\.vocab\.a: expected an id, found -1/],
  [
    'id taken twice',
    (json) => (json.model.vocab.b = 4),
    /expected one id for each token.*id 4 for "b": the id also means "a"/,
  ],
  [
    'added token with another id',
    (json) => (json.added_tokens = [{ id: 9, content: 'a' }]),
    /id 9 for "a": the token also has id 4/,
  ],
  [
    'merge',
    (json) => json.model.merges.push(['a', 'x']),
    /: model\.merges\.10: expected two tokens.*\["a","x"\]/,
  ],
  ['merges', (json) => Object.assign(json.model, { merges: {} }), /: model\.merges: expected a list/],
  ['merge as text', (json) => (json.model.merges = ['ab']), /: model\.merges\.0: expected two tokens.*"ab"/],
  ['unknown token', (json) => (json.model.unk_token = '<x>'), /: model\.unk_token: .*"<x>"/],
];

for (const [name, change, message] of refusals) {
  test(`refused by name: ${name}`, async () => {
    const json = plain();
    change(json);
    const dir = tokenizerFolder(json);
    const found = await inputErrorOf(() => loadTokenizer(dir));
    assert.ok(found.startsWith(join(dir, 'tokenizer.json')), found);
    assert.match(found, message);
  });
}

test('refused by name: a BOS token that is not in the vocabulary', async () => {
  const dir = tokenizerFolder(plain(), { bos_token: '<bos>' });
  assert.match(await inputErrorOf(() => loadTokenizer(dir)), /bos_token "<bos>"/);
});

test.run();
