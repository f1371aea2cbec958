import { charOfByte } from '#src/data/tokenizer/bytes.js';
import type { TokenizerJson } from './vocabularies.js';

/** Small byte-level vocabularies with the pre-tokenizers, normalizers and options of real model families. */

export const GPT2 = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";
const CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
const REST = '| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+';
export const QWEN2 = `${CONTRACTIONS}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}${REST}`;
export const LLAMA3 = `${CONTRACTIONS}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}${REST}`;
const CL100K =
  "'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+";
const O200K = [
  "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
  "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
  '\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+',
].join('|');
const DEEPSEEK = [
  '[!"#$%&\'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+',
  '| ?[\\p{P}\\p{S}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+',
].join('');

const CORPUS = [
  "The cat sat on the mat, and the dog didn't care. Once upon a time there were 1234 cats; they'll sleep.",
  'Привет, мир! Привет всем. Ελληνικά και ελληνικά. Français: été, élève, garçon. Español: ¿qué tal, niño?',
  '中文 中文 日本語 日本語です 한국어 한국어 हिन्दी हिन्दी العربية العربية ก็ ก็',
  'function f(x) {\n    return x == 0 ? "a" : g(x - 1);\n}\n\n\tif (a != b) { c += 3.14; } // ==== ----\r\n',
  '😀 😀 👨‍👩‍👧‍👦 👍🏽 aaaa aaaaaaaa abab abababab \u00a0 \u3000 \u2028 \ufeff \ufffd 1 2 3 10 100 2024 ３４ ²',
  '        \n        \n\n\n   the  the   the    !!! ... -- hello world hello hello worlds word words',
].join('\n');

const bytesOf = (text: string) => [...Buffer.from(text)].map((byte) => charOfByte[byte]!);

/** Merges of the most frequent pairs of the corpus's words, in the byte-level alphabet; the first of equal ones. */
function trainBytes(count: number): [left: string, right: string][] {
  const words = [...CORPUS.matchAll(/ ?[^\s]+|\s+/gu)].map(([word]) => bytesOf(word));
  const merges: [string, string][] = [];
  while (merges.length < count) {
    const counts = new Map<string, number>();
    for (const word of words) {
      for (let i = 1; i < word.length; i++) {
        const pair = `${word[i - 1]} ${word[i]}`;
        counts.set(pair, (counts.get(pair) ?? 0) + 1);
      }
    }
    const best = [...counts].reduce((a, b) => (b[1] > a[1] ? b : a), ['', 0] as [string, number]);
    const [left, right] = best[0].split(' ') as [string, string];
    merges.push([left, right]);
    for (const word of words) join(word, left, right);
  }
  return merges;
}

function join(word: string[], left: string, right: string): void {
  for (let i = 1; i < word.length; i++) {
    if (word[i - 1] === left && word[i] === right) word.splice(i - 1, 2, left + right);
  }
}

const MERGES = trainBytes(300);

interface ByteLevelRecipe {
  merges?: readonly (readonly [left: string, right: string])[];
  /** Tokens that no merge makes. */
  more?: readonly string[];
  /** Bytes without a token. */
  without?: readonly number[];
  added?: Record<string, object>;
  model?: object;
  [part: string]: unknown;
}

const byteLevel = (options: object = {}) => ({
  ...{ type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false },
  ...options,
});

const inOrder = (...pretokenizers: object[]) => ({ type: 'Sequence', pretokenizers });

const split = (pattern: string, options: object = {}) => ({
  ...{ type: 'Split', pattern: { Regex: pattern }, behavior: 'Isolated', invert: false },
  ...options,
});

export function byteLevelJson(recipe: ByteLevelRecipe): TokenizerJson {
  const { merges = MERGES, more = [], without = [], added = {}, model, ...parts } = recipe;
  const tokens = new Set(charOfByte.filter((_, byte) => !without.includes(byte)));
  for (const merge of merges) for (const token of [...merge, merge.join('')]) tokens.add(token);
  for (const token of more) tokens.add(token);
  const ids = new Map([...tokens].map((token, id) => [token, id]));
  for (const content of Object.keys(added)) if (!ids.has(content)) ids.set(content, ids.size);
  const flags = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: false };
  return {
    added_tokens: Object.entries(added).map(([content, set]) => ({
      id: ids.get(content),
      content,
      ...flags,
      ...set,
    })),
    normalizer: null,
    pre_tokenizer: byteLevel({ use_regex: true }),
    post_processor: byteLevel({ add_prefix_space: true }),
    decoder: byteLevel({ add_prefix_space: true, use_regex: true }),
    model: {
      ...{
        type: 'BPE',
        dropout: null,
        unk_token: null,
        fuse_unk: false,
        byte_fallback: false,
        ignore_merges: false,
      },
      vocab: Object.fromEntries([...tokens].map((token, id) => [token, id])),
      merges: merges.map((merge) => [...merge]),
      ...model,
    },
    ...parts,
  };
}

const [special, normalized] = [{ special: true }, { normalized: true }];
const nfc = { type: 'NFC' };
const beginning = {
  type: 'TemplateProcessing',
  single: [{ SpecialToken: { id: '<s>', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
  pair: [{ Sequence: { id: 'A', type_id: 0 } }, { Sequence: { id: 'B', type_id: 0 } }],
  special_tokens: { '<s>': { id: '<s>', ids: [1], tokens: ['"'] } },
};

/** What real models have; `lossless`: decoding gives back every valid text. */
export const FAMILIES: Record<string, { json: TokenizerJson; lossless: boolean }> = {
  'GPT-2': {
    lossless: true,
    json: byteLevelJson({ added: { '<|endoftext|>': special }, model: { type: undefined } }),
  },
  RoBERTa: {
    lossless: false,
    json: byteLevelJson({
      pre_tokenizer: byteLevel({ add_prefix_space: true, use_regex: true }),
      added: { '<s>': special, '</s>': special, '<mask>': { special: true, lstrip: true } },
    }),
  },
  'Llama 3': {
    lossless: true,
    json: byteLevelJson({
      pre_tokenizer: inOrder(split(LLAMA3), byteLevel()),
      post_processor: { type: 'Sequence', processors: [byteLevel({ trim_offsets: false }), beginning] },
      more: ['Ġhello', 'hell', 'Ġ'.repeat(70), 'abab', 'ab', '12', 'ĠĊ', 'worldsĠ', 'Ã©e'],
      added: { '<|begin_of_text|>': special, '<|eot_id|>': special, '<|endoftext|>': special },
      model: { ignore_merges: true },
    }),
  },
  'Qwen 2': {
    lossless: false,
    json: byteLevelJson({
      normalizer: nfc,
      pre_tokenizer: inOrder(split(QWEN2), byteLevel()),
      added: { '<|endoftext|>': special, '<|im_start|>': special, '<|im_end|>': special, '<tool_call>': {} },
    }),
  },
  SmolLM: {
    lossless: true,
    json: byteLevelJson({
      pre_tokenizer: inOrder({ type: 'Digits', individual_digits: true }, byteLevel({ use_regex: true })),
      added: { '<|endoftext|>': special, '<|im_start|>': special },
    }),
  },
  'cl100k, as its authors write it': {
    lossless: true,
    json: byteLevelJson({
      pre_tokenizer: inOrder(split(CL100K, { behavior: 'Removed', invert: true }), byteLevel()),
    }),
  },
  'o200k, by the general way': {
    lossless: true,
    json: byteLevelJson({ pre_tokenizer: inOrder(split(O200K), byteLevel()) }),
  },
  'DeepSeek V3, by the general way': {
    lossless: true,
    json: byteLevelJson({
      pre_tokenizer: inOrder(split('\\p{N}{1,3}'), split('[一-龥぀-ゟ゠-ヿ]+'), split(DEEPSEEK), byteLevel()),
    }),
  },
};

const behaviors = ['Removed', 'Isolated', 'MergedWithPrevious', 'MergedWithNext', 'Contiguous'];

/** What the parts can do beyond that. */
export const VARIANTS: Record<string, TokenizerJson> = {
  'digits in runs': byteLevelJson({
    pre_tokenizer: inOrder({ type: 'Digits', individual_digits: false }, byteLevel({ use_regex: true })),
  }),
  'a prefix for each run of digits': byteLevelJson({
    pre_tokenizer: inOrder(
      { type: 'Digits', individual_digits: false },
      byteLevel({ add_prefix_space: true }),
    ),
  }),
  'no split': byteLevelJson({ pre_tokenizer: byteLevel() }),
  'a prefix and no split': byteLevelJson({ pre_tokenizer: byteLevel({ add_prefix_space: true }) }),
  'NFKC, lower case, stripped': byteLevelJson({
    normalizer: {
      type: 'Sequence',
      normalizers: [
        { type: 'NFKC' },
        { type: 'Lowercase' },
        { type: 'Strip', strip_left: true, strip_right: true },
      ],
    },
    added: {
      Hello: normalized,
      The: { normalized: true, single_word: true },
      É: normalized,
      '①': normalized,
    },
  }),
  'stripped on one side, replaced and prepended': byteLevelJson({
    normalizer: {
      type: 'Sequence',
      normalizers: [
        { type: 'Strip', strip_left: false, strip_right: true },
        { type: 'Replace', pattern: { Regex: '\\s{2,}|a+' }, content: '-' },
        { type: 'Prepend', prepend: 'é' },
        nfc,
        { type: 'Replace', pattern: { String: 'the' }, content: 'THE ' },
      ],
    },
  }),
  'bytes without a token, dropped': byteLevelJson({ without: [0x20, 0x61, 0xc3, 0xf0] }),
  'bytes without a token, unknown': byteLevelJson({
    without: [0x20, 0x61, 0x62, 0xc3, 0xa9],
    more: ['<unk>'],
    model: { unk_token: '<unk>', fuse_unk: false },
  }),
  'bytes without a token, unknown and fused, words that are tokens': byteLevelJson({
    without: [0x20, 0x61, 0x62, 0xc3, 0xa9, 0xe2],
    more: ['<unk>', 'abc', 'aaaa', 'ab'],
    model: { unk_token: '<unk>', fuse_unk: true, ignore_merges: true },
  }),
  'white space split and kept out': byteLevelJson({
    pre_tokenizer: inOrder({ type: 'WhitespaceSplit' }, byteLevel()),
  }),
  'words and the rest': byteLevelJson({ pre_tokenizer: inOrder({ type: 'Whitespace' }, byteLevel()) }),
  'digits alone': byteLevelJson({
    pre_tokenizer: inOrder({ type: 'Digits', individual_digits: true }, byteLevel()),
  }),
  'atomic, lazy, looking around': byteLevelJson({
    pre_tokenizer: inOrder(
      split('(?<=\\p{L})\\d++|(?>a|ab)c?|(?<!b)[^\\S\\n]{2,}|(?i:k[q-t]|[^a-z\\s])|\\x{4e2d}|\\w{,3}'),
      byteLevel(),
    ),
  }),
};

for (const behavior of behaviors) {
  for (const invert of [false, true]) {
    VARIANTS[`matches ${behavior}${invert ? ', inverted' : ''}`] = byteLevelJson({
      pre_tokenizer: inOrder(
        split('\\s+|\\p{Lu}|', { behavior, invert }),
        { ...split('', { behavior, invert }), pattern: { String: '.' } },
        byteLevel({ use_regex: true, add_prefix_space: invert }),
      ),
    });
  }
}
