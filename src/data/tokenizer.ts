/// <reference lib="es2024.string" />
import { excerpt, InputError } from '../base/errors.js';
import { AddedTokenMatcher } from './tokenizer/addedTokens.js';
import { Bpe } from './tokenizer/bpe.js';
import { createDecoder, type Decoder, type IncrementalDecoder } from './tokenizer/decoder.js';
import { readTokenizerFile, type TokenizerFile } from './tokenizer/file.js';

export type { IncrementalDecoder } from './tokenizer/decoder.js';

/**
 * Reads the tokenizer of a Hugging Face folder: `tokenizer.json` and, when it is there, `tokenizer_config.json`, which
 * names the BOS and EOS tokens. Its ids are those of the Hugging Face `tokenizers` library. The file's truncation and
 * padding are not applied: they belong to batches.
 * @throws InputError naming the file and the field: what is missing, wrong, or a component that is not supported
 */
export async function loadTokenizer(dir: string): Promise<Tokenizer> {
  return new Tokenizer(readTokenizerFile(dir));
}

export interface EncodeOptions {
  /** Add what the file's template puts around a text, such as the BOS token. Default: true. */
  addSpecialTokens?: boolean;
}

export interface DecodeOptions {
  /** Leave special tokens out of the text. Default: false. */
  skipSpecialTokens?: boolean;
}

/** UTF-16 units [start, end) of a text, and their ids: an added token, or what is between two. */
export interface EncodedPiece {
  readonly start: number;
  readonly end: number;
  readonly tokens: Uint32Array;
  readonly isAdded: boolean;
}

export class Tokenizer {
  /** The largest id plus 1; ids without a token may be among them. */
  readonly vocabularySize: number;
  readonly bosId?: number;
  readonly eosId?: number;
  /** Ids that the file's template puts before a text and after it, with special tokens on: mostly BOS, or nothing. */
  readonly before: Uint32Array;
  readonly after: Uint32Array;
  /** How a text is cut before it is merged, as JSON: normalizers, pre-tokenizers, added tokens. */
  readonly rules: string;
  private readonly tokens: (string | undefined)[] = [];
  private readonly ids: Map<string, number>;
  private readonly special = new Set<number>();
  private readonly bpe: Bpe;
  private readonly added: AddedTokenMatcher;
  private readonly addedNormalized: AddedTokenMatcher;
  private readonly tokenDecoder: Decoder;

  /** @internal */
  constructor(file: TokenizerFile) {
    this.bpe = new Bpe(file);
    this.rules = JSON.stringify([file.normalizer, file.preTokenizer, file.addedTokens]);
    this.ids = file.model.vocab;
    for (const [token, id] of this.ids) this.name(id, token, file.path);
    for (const { id, content, special } of file.addedTokens) {
      this.name(id, content, file.path);
      if (special) this.special.add(id);
    }
    this.vocabularySize = this.tokens.length;
    this.before = Uint32Array.from(file.before);
    this.after = Uint32Array.from(file.after);
    const inOrder = [
      ...file.addedTokens.filter((t) => t.special),
      ...file.addedTokens.filter((t) => !t.special),
    ];
    this.added = new AddedTokenMatcher(
      inOrder.filter((token) => !token.normalized),
      (token) => token.content,
    );
    this.addedNormalized = new AddedTokenMatcher(
      inOrder.filter((token) => token.normalized),
      (token) => this.bpe.normalize(token.content),
    );
    // A normalized token was found in normalized text, so that is what the decoder undoes.
    const normalized = new Map(
      file.addedTokens.filter((token) => token.normalized).map(({ id, content }) => [id, content]),
    );
    this.tokenDecoder = createDecoder(file.decoder, (id) => {
      const content = normalized.get(id);
      return content === undefined ? this.tokens[id]! : this.bpe.normalize(content);
    });
    if (file.bosToken !== undefined) this.bosId = this.named(file.bosToken, 'bos_token', file.path);
    if (file.eosToken !== undefined) this.eosId = this.named(file.eosToken, 'eos_token', file.path);
  }

  /**
   * The ids of a text. Added tokens are found in it first, also where a user wrote them. A lone surrogate is read as
   * U+FFFD, which is what it becomes in UTF-8.
   * @throws InputError for a text that is too long for WASM's 4 GiB (far above 100 MB)
   */
  encode(text: string, { addSpecialTokens = true }: EncodeOptions = {}): Uint32Array {
    const parts = this.encodePieces(text).map(({ tokens }) => tokens);
    return concatenate(addSpecialTokens ? [this.before, ...parts, this.after] : parts);
  }

  /** The ids of a text without special tokens around it, by the pieces that added tokens cut it into. */
  encodePieces(text: string): EncodedPiece[] {
    const wellFormed = text.toWellFormed();
    return Array.from(this.added.spans(wellFormed), ({ start, end, id }) => {
      if (id !== undefined) return { start, end, tokens: Uint32Array.of(id), isAdded: true };
      const piece = wellFormed.slice(start, end);
      return { start, end, tokens: this.encodePiece(piece, start === 0), isAdded: false };
    });
  }

  /** The text of ids; ids without a token are left out. */
  decode(ids: Uint32Array | readonly number[], { skipSpecialTokens = false }: DecodeOptions = {}): string {
    return this.tokenDecoder.decode(Array.from(ids).filter((id) => this.isText(id, skipSpecialTokens)));
  }

  /**
   * UTF-8 bytes of each id's part of the text of all of them: a token that is a part of a character has its bytes, special
   * tokens and ids without a token have none.
   */
  byteLengths(ids: Uint32Array | readonly number[]): number[] {
    const all = Array.from(ids);
    const lengths = this.tokenDecoder.byteLengths(all.filter((id) => this.isText(id, true)));
    let next = 0;
    return all.map((id) => (this.isText(id, true) ? lengths[next++]! : 0));
  }

  /**
   * Decodes ids as they come. What it gives in all is `decode` of all ids, except inside a run of byte tokens ("<0x0A>")
   * that is not valid UTF-8: valid characters of the run remain, and each broken one becomes U+FFFD.
   */
  decoder({ skipSpecialTokens = false }: DecodeOptions = {}): IncrementalDecoder {
    const { push, end } = this.tokenDecoder.incremental();
    return { push: (id) => (this.isText(id, skipSpecialTokens) ? push(id) : ''), end };
  }

  /** The token of an id as the file has it ("▁the"), undefined where there is none. */
  tokenOf(id: number): string | undefined {
    return this.tokens[id];
  }

  /** The id of a token as the file has it, undefined where there is none. */
  idOf(token: string): number | undefined {
    return this.ids.get(token);
  }

  /** Whether `skipSpecialTokens` leaves a token out of the text. */
  isSpecial(id: number): boolean {
    return this.special.has(id);
  }

  /** [2 x merges] the ids that each merge joins, in rank order. */
  get merges(): Uint32Array {
    return this.bpe.merges;
  }

  /** Bytes of WASM memory: tables plus the largest text so far. */
  get memoryBytes(): number {
    return this.bpe.memoryBytes;
  }

  /** A text without added tokens but those that are found once it is normalized. */
  private encodePiece(text: string, isFirst: boolean): Uint32Array {
    if (this.addedNormalized.empty) return this.bpe.encode(text, { isFirst });
    const normalized = this.bpe.normalize(text);
    const parts = Array.from(this.addedNormalized.spans(normalized), ({ start, end, id }) => {
      if (id !== undefined) return Uint32Array.of(id);
      return this.bpe.encode(normalized.slice(start, end), {
        normalize: false,
        isFirst: isFirst && start === 0,
      });
    });
    return concatenate(parts);
  }

  private isText(id: number, skipSpecial: boolean): boolean {
    return this.tokens[id] !== undefined && !(skipSpecial && this.isSpecial(id));
  }

  private name(id: number, token: string, path: string): void {
    const listed = this.ids.get(token);
    const known = listed ?? id;
    const holder = this.tokens[id] ?? token;
    if (known !== id || holder !== token) {
      const found = `id ${id} for ${excerpt(token)}`;
      const other = known !== id ? `the token also has id ${known}` : `the id also means ${excerpt(holder)}`;
      throw new InputError(`${path}: expected one id for each token, found ${found}: ${other}`);
    }
    this.tokens[id] = token;
    if (listed === undefined) this.ids.set(token, id);
  }

  private named(token: string, field: string, path: string): number {
    const id = this.ids.get(token);
    if (id === undefined) {
      throw new InputError(
        `${path}: expected the ${field} ${excerpt(token)} of tokenizer_config.json, found none`,
      );
    }
    return id;
  }
}

/**
 * Where two tokenizers first differ in what ids mean (vocabulary and added tokens by content) or in their merges, in
 * words for a message: "token 259: "▁t" and "▁T""; undefined where they agree.
 */
export function firstDifference(a: Tokenizer, b: Tokenizer): string | undefined {
  const size = Math.max(a.vocabularySize, b.vocabularySize);
  for (let id = 0; id < size; id++) {
    if (a.tokenOf(id) !== b.tokenOf(id))
      return `token ${id}: ${quoted(a.tokenOf(id))} and ${quoted(b.tokenOf(id))}`;
  }
  const merges = Math.max(a.merges.length, b.merges.length) / 2;
  for (let rank = 0; rank < merges; rank++) {
    const [first, second] = [mergeAt(a, rank), mergeAt(b, rank)];
    if (first !== second) return `merge ${rank}: ${first} and ${second}`;
  }
  return undefined;
}

function mergeAt(tokenizer: Tokenizer, rank: number): string {
  const pair = tokenizer.merges.subarray(2 * rank, 2 * rank + 2);
  return pair.length === 0 ? 'none' : Array.from(pair, (id) => quoted(tokenizer.tokenOf(id))).join(' + ');
}

function quoted(token: string | undefined): string {
  return token === undefined ? 'none' : excerpt(token);
}

function concatenate(parts: readonly Uint32Array[]): Uint32Array {
  if (parts.length === 1) return parts[0]!;
  const all = new Uint32Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
