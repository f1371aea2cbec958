/**
 * A small byte-pair tokenizer in the form of SentencePiece's: "▁" stands for the space before a word, merges stay
 * inside words, digits and punctuation stand alone, and what has no symbol falls back to bytes.
 */

const META = '▁';
const SPECIAL_TOKENS = ['<unk>', '<s>', '</s>'] as const;
const [UNKNOWN, BOS, EOS] = SPECIAL_TOKENS;
const BYTE_TOKENS = Array.from(
  { length: 256 },
  (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`,
);
/** Symbols of their own whether they occur or not, so that a user's English text takes few bytes. */
const ALPHABET = `${META}abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,:;!?'"()+-=/%&*`;

export interface BpeVocabulary {
  /** By id: special tokens, bytes, symbols, products of the merges. */
  readonly tokens: readonly string[];
  /** In rank order. */
  readonly merges: readonly (readonly [left: string, right: string])[];
}

interface Word {
  symbols: string[];
  readonly count: number;
}

/**
 * Merges the most frequent pair of neighbours until `size` tokens are there or no pair occurs twice; of equally
 * frequent pairs the first in code unit order. The texts alone decide.
 */
export function trainBpe(texts: Iterable<string>, size: number): BpeVocabulary {
  const words = countWords(texts);
  const tokens = new Set<string>([...SPECIAL_TOKENS, ...BYTE_TOKENS, ...ALPHABET]);
  const merges: [string, string][] = [];
  while (tokens.size < size) {
    const best = mostFrequentPair(words);
    if (best === undefined) break;
    const [left, right] = best;
    merges.push(best);
    tokens.add(left + right);
    for (const word of words) word.symbols = merged(word.symbols, left, right);
  }
  return { tokens: [...tokens], merges };
}

/** The words with their "▁"; letters outside the alphabet cut them, as bytes do when text is encoded. */
function countWords(texts: Iterable<string>): Word[] {
  const counts = new Map<string, number>();
  for (const text of texts) {
    for (const [word] of (META + text.replaceAll(' ', META)).matchAll(/▁?[A-Za-z]+/g)) {
      counts.set(word, (counts.get(word) ?? 0) + 1);
    }
  }
  return [...counts].map(([word, count]) => ({ symbols: [...word], count }));
}

function mostFrequentPair(words: readonly Word[]): [string, string] | undefined {
  const counts = new Map<string, number>();
  for (const { symbols, count } of words) {
    for (let i = 1; i < symbols.length; i++) {
      const pair = `${symbols[i - 1]} ${symbols[i]}`;
      counts.set(pair, (counts.get(pair) ?? 0) + count);
    }
  }
  let best: string | undefined;
  let most = 1;
  for (const [pair, count] of counts) {
    if (count > most || (count === most && best !== undefined && pair < best)) {
      best = pair;
      most = count;
    }
  }
  return best?.split(' ') as [string, string] | undefined;
}

function merged(symbols: readonly string[], left: string, right: string): string[] {
  const result: string[] = [];
  for (let i = 0; i < symbols.length; i++) {
    const isPair = symbols[i] === left && symbols[i + 1] === right;
    result.push(isPair ? left + right : symbols[i]!);
    if (isPair) i++;
  }
  return result;
}

/** The contents of `tokenizer.json` and `tokenizer_config.json`, as Hugging Face's `tokenizers` reads them. */
export function tokenizerFiles({ tokens, merges }: BpeVocabulary): { tokenizer: object; config: object } {
  const added = SPECIAL_TOKENS.map((content, id) => ({
    ...{ id, content, special: true },
    ...{ single_word: false, lstrip: false, rstrip: false, normalized: false },
  }));
  const first = { SpecialToken: { id: BOS, type_id: 0 } };
  const text = (id: 'A' | 'B', type: number) => ({ Sequence: { id, type_id: type } });
  const tokenizer = {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: added,
    normalizer: {
      type: 'Sequence',
      normalizers: [
        { type: 'Prepend', prepend: META },
        { type: 'Replace', pattern: { String: ' ' }, content: META },
      ],
    },
    pre_tokenizer: null,
    post_processor: {
      type: 'TemplateProcessing',
      single: [first, text('A', 0)],
      pair: [first, text('A', 0), { SpecialToken: { id: BOS, type_id: 1 } }, text('B', 1)],
      special_tokens: { [BOS]: { id: BOS, ids: [tokens.indexOf(BOS)], tokens: [BOS] } },
    },
    decoder: {
      type: 'Sequence',
      decoders: [
        { type: 'Replace', pattern: { String: META }, content: ' ' },
        { type: 'ByteFallback' },
        { type: 'Fuse' },
        { type: 'Strip', content: ' ', start: 1, stop: 0 },
      ],
    },
    model: {
      ...{ type: 'BPE', dropout: null, unk_token: UNKNOWN },
      ...{ continuing_subword_prefix: null, end_of_word_suffix: null },
      ...{ fuse_unk: true, byte_fallback: true, ignore_merges: false },
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges: merges.map((merge) => merge.join(' ')),
    },
  };
  const config = {
    ...{ tokenizer_class: 'LlamaTokenizer', legacy: true },
    ...{ bos_token: BOS, eos_token: EOS, unk_token: UNKNOWN },
    ...{ add_bos_token: true, add_eos_token: false },
  };
  return { tokenizer, config };
}
