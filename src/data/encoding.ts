import { InputError } from '../errors.js';
import type { Encoded, Example } from './examples.js';
import type { Tokenizer } from './tokenizer.js';

export type DocumentTokenizer = Pick<Tokenizer, 'encode' | 'bosId' | 'eosId'>;

/** The ids of a document. @throws Problem when it can't be encoded */
export type Encode = (example: Example) => Encoded;

export interface EncodingOptions {
  /** End each document of text with the tokenizer's EOS. */
  readonly eos: boolean;
}

/** @throws InputError when EOS is requested from a tokenizer without one */
export function createEncode(tokenizer: DocumentTokenizer, { eos }: EncodingOptions): Encode {
  if (eos && tokenizer.eosId === undefined) {
    throw new InputError(
      'expected a tokenizer with an EOS token for --eos, found one without; leave --eos out',
    );
  }
  return (example) => {
    if (typeof example === 'string') return { tokens: textTokens(tokenizer, example, eos) };
    if ('tokens' in example) return example;
    throw new InputError('expected text, found a conversation');
  };
}

/** The tokenizer's BOS where it has one, the text, and EOS on request. */
export function textTokens(tokenizer: DocumentTokenizer, text: string, eos: boolean): Uint32Array {
  const before = tokenizer.bosId === undefined ? [] : [tokenizer.bosId];
  const after = eos ? [tokenizer.eosId!] : [];
  const body = tokenizer.encode(text, { addSpecialTokens: false });
  const tokens = new Uint32Array(before.length + body.length + after.length);
  tokens.set(before);
  tokens.set(body, before.length);
  tokens.set(after, before.length + body.length);
  return tokens;
}
