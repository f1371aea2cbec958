import { createHash } from 'node:crypto';
import { InputError } from '../../base/errors.js';
import { calling, quoted } from '../../base/invocation.js';
import type { Tokenizer } from '../tokenizer.js';

/** How the text of a shard became ids. */
export interface Encoding {
  /** The model whose tokenizer it was, as the user named it. */
  readonly tokenizer: string;
  readonly fingerprint: string;
  /** Ids are below it. */
  readonly vocabulary: number;
  /** The id that ends each document of text; undefined where none was added. */
  readonly eos: number | undefined;
}

/** A tokenizer and how it is used. */
export interface Encoder {
  readonly tokenizer: Tokenizer;
  /** Of the model that it belongs to. */
  readonly name: string;
  readonly eos: boolean;
}

export const encodingOf = ({ tokenizer, name, eos }: Encoder): Encoding => ({
  tokenizer: name,
  fingerprint: fingerprintOf(tokenizer),
  vocabulary: tokenizer.vocabularySize,
  eos: eos ? tokenizer.eosId : undefined,
});

/** SHA-256 of what makes ids of a text: tokens by id, the id that begins a document, merges by rank, and the rules. */
export function fingerprintOf(tokenizer: Tokenizer): string {
  const tokens = Array.from({ length: tokenizer.vocabularySize }, (_, id) => tokenizer.tokenOf(id) ?? null);
  const { merges, bosId = null } = tokenizer;
  return createHash('sha256')
    .update(JSON.stringify({ tokens, bosId, rules: tokenizer.rules }))
    .update(new Uint8Array(merges.buffer, merges.byteOffset, merges.byteLength))
    .digest('hex');
}

/**
 * @param file with the ids, for messages
 * @throws InputError unless text would become the same ids
 */
export function checkEncoding(file: string, found: Encoding, expected: Encoding): void {
  const { tokenizer, fingerprint, vocabulary, eos } = expected;
  if (found.fingerprint !== fingerprint || found.vocabulary !== vocabulary) {
    throw new InputError(
      `${file}: expected token ids of the tokenizer in ${tokenizer}, found those of the one in ${found.tokenizer}; ` +
        `write the shards again with ${calling('tokenize')} --model ${quoted(tokenizer)}`,
    );
  }
  if (found.eos === eos) return;
  const remedy = `${eos === undefined ? 'give' : 'leave out'} --eos, or write the shards again`;
  throw new InputError(
    `${file}: expected documents ${endOf(eos)}, found such ${endOf(found.eos)}; ${remedy}`,
  );
}

const endOf = (eos: number | undefined): string =>
  eos === undefined ? 'without EOS (no --eos)' : `that end with EOS (--eos, id ${eos})`;
