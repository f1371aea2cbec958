import { createHash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { InputError } from '../../base/errors.js';
import { calling, quoted } from '../../base/invocation.js';
import { type QmsumOptions, qmsumText } from '../../options/qmsum.js';
import { type ChatTemplateSource, hashOfTemplate } from '../chat/source.js';
import { type Bos, beginningOf } from '../encoding.js';
import type { Tokenizer } from '../tokenizer.js';

/** How the text of a shard became ids. */
export interface Encoding {
  /** The model whose tokenizer it was, as the user named it. */
  readonly tokenizer: string;
  readonly fingerprint: string;
  /** Ids are below it. */
  readonly vocabulary: number;
  /** The ids that begin each document of text; absent in shards that say no more than the tokenizer: its BOS, if any. */
  readonly bos?: readonly number[] | undefined;
  /** The id that ends each document of text; undefined where none was added. */
  readonly eos: number | undefined;
  /** Hash of what conversations were written with; absent where there are none, and in older shards. */
  readonly chatTemplate?: string | undefined;
  /** How queries about meetings were asked; absent where there are none, and in older shards. */
  readonly qmsum?: QmsumOptions | undefined;
}

/** A tokenizer and how it is used. */
export interface Encoder {
  readonly tokenizer: Tokenizer;
  /** Of the model that it belongs to. */
  readonly name: string;
  readonly bos?: Bos | undefined;
  readonly eos: boolean;
  /** Of a run, this and the next one only where it says so: what they do to a shard was decided when it was written. */
  readonly chatTemplate?: ChatTemplateSource | undefined;
  readonly qmsum?: QmsumOptions | undefined;
}

export const encodingOf = ({ tokenizer, name, bos, eos, chatTemplate, qmsum }: Encoder): Encoding => ({
  tokenizer: name,
  fingerprint: fingerprintOf(tokenizer),
  vocabulary: tokenizer.vocabularySize,
  bos: Array.from(beginningOf(tokenizer, bos)),
  eos: eos ? tokenizer.eosId : undefined,
  chatTemplate: chatTemplate && hashOfTemplate(chatTemplate),
  qmsum,
});

const fingerprints = new WeakMap<Tokenizer, string>();

/** SHA-256 of what makes ids of a text: tokens by id, BOS, merges by rank, and the rules. */
export function fingerprintOf(tokenizer: Tokenizer): string {
  const known = fingerprints.get(tokenizer);
  if (known !== undefined) return known;
  const tokens = Array.from({ length: tokenizer.vocabularySize }, (_, id) => tokenizer.tokenOf(id) ?? null);
  const { merges, bosId = null } = tokenizer;
  const fingerprint = createHash('sha256')
    .update(JSON.stringify({ tokens, bosId, rules: tokenizer.rules }))
    .update(new Uint8Array(merges.buffer, merges.byteOffset, merges.byteLength))
    .digest('hex');
  fingerprints.set(tokenizer, fingerprint);
  return fingerprint;
}

/**
 * @param file with the ids, for messages
 * @param encoder that would make ids of the text
 * @throws InputError unless they would be the same ids
 */
export function checkEncoding(file: string, found: Encoding, encoder: Encoder): void {
  const { tokenizer, fingerprint, vocabulary, bos = [], eos } = encodingOf(encoder);
  if (found.fingerprint !== fingerprint || found.vocabulary !== vocabulary) {
    throw new InputError(
      `${file}: expected token ids of the tokenizer in ${tokenizer}, found those of the one in ${found.tokenizer}; ` +
        `write the shards again with ${calling('tokenize')} --model ${quoted(tokenizer)}`,
    );
  }
  const { bosId } = encoder.tokenizer;
  const foundBos = found.bos ?? (bosId === undefined ? [] : [bosId]);
  if (!isDeepStrictEqual(foundBos, bos)) {
    throw new InputError(
      `${file}: expected documents ${startOf(bos)}, found such ${startOf(foundBos)}; ` +
        'give --bos as it was when they were written, or write the shards again',
    );
  }
  if (found.eos !== eos) {
    const remedy = `${eos === undefined ? 'give' : 'leave out'} --eos, or write the shards again`;
    throw new InputError(
      `${file}: expected documents ${endOf(eos)}, found such ${endOf(found.eos)}; ${remedy}`,
    );
  }
  checkExamples(file, found, encoder);
}

/** Of conversations and queries about meetings. */
function checkExamples(file: string, found: Encoding, { chatTemplate, qmsum }: Encoder): void {
  const refused = (option: string, expected: string, other: string) =>
    new InputError(
      `${file}: expected ${expected}, found such ${other}; leave out ${option}, or write the shards again`,
    );
  const { chatTemplate: hash } = found;
  if (hash !== undefined && chatTemplate && hash !== hashOfTemplate(chatTemplate)) {
    const expected = `conversations as ${chatTemplate.path} writes them`;
    throw refused('--chat-template', expected, 'of another chat template or other special tokens');
  }
  if (found.qmsum && qmsum && !isDeepStrictEqual(found.qmsum, qmsum)) {
    throw refused('--qmsum', `queries with ${qmsumText(qmsum)}`, `with ${qmsumText(found.qmsum)}`);
  }
}

const startOf = (bos: readonly number[]): string =>
  bos.length === 0 ? 'without BOS' : `that begin with BOS (id ${bos.join(', ')})`;

const endOf = (eos: number | undefined): string =>
  eos === undefined ? 'without EOS (no --eos)' : `that end with EOS (--eos, id ${eos})`;
