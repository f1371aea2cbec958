import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { temporaryFolder } from '../support.js';

/** A `tokenizer.json` as plain JSON. */
export interface TokenizerJson {
  added_tokens: object[];
  normalizer: object | null;
  pre_tokenizer: object | null;
  post_processor: object | null;
  decoder: object | null;
  model: {
    type: string;
    vocab: Record<string, number>;
    merges: (string | string[])[];
    unk_token: string | null;
    [option: string]: unknown;
  };
}

export const prepend = { type: 'Prepend', prepend: '▁' };
export const replaceSpaces = { type: 'Replace', pattern: { String: ' ' }, content: '▁' };
export const sequence = (...normalizers: object[]) => ({ type: 'Sequence', normalizers });

export const sentencePieceDecoder = {
  type: 'Sequence',
  decoders: [
    { type: 'Replace', pattern: { String: '▁' }, content: ' ' },
    { type: 'ByteFallback' },
    { type: 'Fuse' },
    { type: 'Strip', content: ' ', start: 1, stop: 0 },
  ],
};

export const byteTokens = Array.from(
  { length: 256 },
  (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`,
);

/** Symbols, merges ("left right", in rank order) and what is not as in a Llama-2 style file. */
interface Recipe {
  symbols: readonly string[];
  merges: readonly string[];
  /** Added tokens by content with the flags that are set; the special ones <unk>, <s> and </s> if left out. */
  added?: Record<string, object>;
  model?: object;
  normalizer?: object | null;
  pre_tokenizer?: object | null;
  decoder?: object;
  post_processor?: object | null;
}

const special = { special: true };
const noFlags = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: false };

/**
 * A SentencePiece-style BPE tokenizer: the special tokens, the symbols, then parts and products of the merges get
 * ids in this order, added tokens that are none of these come last.
 */
export function sentencePiece({ symbols, merges, added, model, ...parts }: Recipe): TokenizerJson {
  const tokens = new Set(['<unk>', '<s>', '</s>', ...symbols]);
  for (const merge of merges) {
    const pair = merge.split(' ');
    for (const token of [...pair, pair.join('')]) tokens.add(token);
  }
  const ids = new Map([...tokens].map((token, id) => [token, id]));
  const addedTokens = Object.entries(added ?? { '<unk>': special, '<s>': special, '</s>': special });
  for (const [content] of addedTokens) if (!ids.has(content)) ids.set(content, ids.size);
  return {
    added_tokens: addedTokens.map(([content, flags]) => ({
      id: ids.get(content),
      content,
      ...noFlags,
      ...flags,
    })),
    normalizer: sequence(prepend, replaceSpaces),
    pre_tokenizer: null,
    post_processor: {
      type: 'TemplateProcessing',
      single: [
        { SpecialToken: { id: '<s>', type_id: 0 } },
        { Sequence: { id: 'A', type_id: 0 } },
        { SpecialToken: { id: '</s>', type_id: 0 } },
      ],
      pair: [{ Sequence: { id: 'A', type_id: 0 } }, { Sequence: { id: 'B', type_id: 0 } }],
      special_tokens: {
        '<s>': { id: '<s>', ids: [1], tokens: ['<s>'] },
        '</s>': { id: '</s>', ids: [2], tokens: ['</s>'] },
      },
    },
    decoder: sentencePieceDecoder,
    model: {
      type: 'BPE',
      vocab: Object.fromEntries([...tokens].map((token, id) => [token, id])),
      merges: merges.map((merge) => merge.split(' ')),
      unk_token: '<unk>',
      fuse_unk: true,
      byte_fallback: true,
      ...model,
    },
    ...parts,
  };
}

/** Writes a model folder with this tokenizer and returns its path. */
export function tokenizerFolder(json: object, config?: object): string {
  const dir = temporaryFolder('tokenizer');
  writeFileSync(join(dir, 'tokenizer.json'), JSON.stringify(json));
  if (config !== undefined) writeFileSync(join(dir, 'tokenizer_config.json'), JSON.stringify(config));
  return dir;
}

/** Vocabularies whose merges come in any order, whatever their parts' own ranks are. */
export const randomVocabulary = fc
  .record({
    crossing: fc.boolean(),
    bytes: fc.constantFrom([], byteTokens, byteTokens.slice(0, 0xe2)),
    picks: fc.array(fc.tuple(fc.nat(), fc.nat(), fc.nat()), { minLength: 1, maxLength: 60 }),
    options: fc.record({
      unk_token: fc.constantFrom('<unk>', null),
      fuse_unk: fc.boolean(),
      byte_fallback: fc.boolean(),
    }),
    normalizer: fc.constantFrom(null, prepend, replaceSpaces, sequence(prepend, replaceSpaces)),
  })
  .map(({ crossing, bytes, picks, options, normalizer }) => {
    const tokens = ['▁', 'a', 'b', 'c', 'é', '😀'];
    const merges: string[] = [];
    for (const [left, right, place] of picks) {
      const pair = [tokens[left % tokens.length]!, tokens[right % tokens.length]!];
      if (pair.join('').length > 12 || (!crossing && /[^▁]▁/u.test(pair.join('')))) continue;
      if (!merges.includes(pair.join(' '))) merges.splice(place % (merges.length + 1), 0, pair.join(' '));
      if (!tokens.includes(pair.join(''))) tokens.push(pair.join(''));
    }
    return sentencePiece({ symbols: [...tokens.slice(0, 6), ...bytes], merges, normalizer, model: options });
  });
