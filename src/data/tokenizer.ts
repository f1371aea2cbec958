/// <reference lib="es2024.string" />
import { excerpt, InputError } from '../errors.js';
import { AddedTokenMatcher } from './tokenizer/addedTokens.js';
import { Bpe } from './tokenizer/bpe.js';
import { type IncrementalDecoder, type Piece, PieceDecoder } from './tokenizer/decoder.js';
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

export class Tokenizer {
  /** The largest id plus 1; ids without a token may be among them. */
  readonly vocabularySize: number;
  readonly bosId?: number;
  readonly eosId?: number;
  private readonly tokens: (string | undefined)[] = [];
  private readonly ids = new Map<string, number>();
  private readonly special = new Set<number>();
  private readonly bpe: Bpe;
  private readonly before: Uint32Array;
  private readonly after: Uint32Array;
  private readonly added: AddedTokenMatcher;
  private readonly addedNormalized: AddedTokenMatcher;
  private readonly pieces: PieceDecoder;
  private readonly pieceById: Piece[] = [];

  constructor(file: TokenizerFile) {
    for (const [token, id] of file.model.vocab) this.name(id, token, file.path);
    for (const { id, content, special } of file.addedTokens) {
      this.name(id, content, file.path);
      if (special) this.special.add(id);
    }
    this.vocabularySize = this.tokens.length;
    this.bpe = new Bpe(file.path, file.model, file.normalizer);
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
    this.pieces = new PieceDecoder(file.decoder);
    for (const { id, content, normalized } of file.addedTokens) {
      // It was found in normalized text, so that is what the decoder undoes.
      if (normalized) this.pieceById[id] = this.pieces.pieceOf(this.bpe.normalize(content));
    }
    if (file.bosToken !== undefined) this.bosId = this.named(file.bosToken, 'bos_token', file.path);
    if (file.eosToken !== undefined) this.eosId = this.named(file.eosToken, 'eos_token', file.path);
  }

  /**
   * The ids of a text. Added tokens are found in it first, also where a user wrote them. A lone surrogate is read as
   * U+FFFD, which is what it becomes in UTF-8.
   * @throws InputError for a text that is too long for WASM's 4 GiB (far above 100 MB)
   */
  encode(text: string, { addSpecialTokens = true }: EncodeOptions = {}): Uint32Array {
    const parts: Uint32Array[] = addSpecialTokens ? [this.before] : [];
    for (const piece of this.added.split(text.toWellFormed())) {
      if (typeof piece === 'number') parts.push(Uint32Array.of(piece));
      else if (this.addedNormalized.empty) parts.push(this.bpe.encode(piece));
      else this.encodeNormalized(this.bpe.normalize(piece), parts);
    }
    if (addSpecialTokens) parts.push(this.after);
    return concatenate(parts);
  }

  /** The text of ids; ids without a token are left out. */
  decode(ids: Uint32Array | readonly number[], { skipSpecialTokens = false }: DecodeOptions = {}): string {
    const pieces: Piece[] = [];
    for (const id of ids) {
      const piece = this.pieceOf(id, skipSpecialTokens);
      if (piece !== undefined) pieces.push(piece);
    }
    return this.pieces.decode(pieces);
  }

  /**
   * Decodes ids as they come. What it gives in all is `decode` of all ids, except inside a run of byte tokens that is
   * not valid UTF-8: valid characters of the run remain, and each broken one becomes U+FFFD.
   */
  decoder({ skipSpecialTokens = false }: DecodeOptions = {}): IncrementalDecoder {
    return this.pieces.incremental((id) => this.pieceOf(id, skipSpecialTokens));
  }

  /** The token of an id as the file has it ("▁the"), undefined where there is none. */
  tokenOf(id: number): string | undefined {
    return this.tokens[id];
  }

  /** The id of a token as the file has it, undefined where there is none. */
  idOf(token: string): number | undefined {
    return this.ids.get(token);
  }

  /** [2 x merges] the ids that each merge joins, in rank order. */
  get merges(): Uint32Array {
    return this.bpe.merges;
  }

  /** Bytes of WASM memory: tables plus the largest text so far. */
  get memoryBytes(): number {
    return this.bpe.memoryBytes;
  }

  private encodeNormalized(text: string, parts: Uint32Array[]): void {
    for (const piece of this.addedNormalized.split(text)) {
      parts.push(
        typeof piece === 'number' ? Uint32Array.of(piece) : this.bpe.encode(piece, { normalize: false }),
      );
    }
  }

  private pieceOf(id: number, skipSpecial: boolean): Piece | undefined {
    const token = this.tokens[id];
    if (token === undefined || (skipSpecial && this.special.has(id))) return undefined;
    this.pieceById[id] ??= this.pieces.pieceOf(token);
    return this.pieceById[id];
  }

  private name(id: number, token: string, path: string): void {
    const known = this.ids.get(token) ?? id;
    const holder = this.tokens[id] ?? token;
    if (known !== id || holder !== token) {
      const found = `id ${id} for ${excerpt(token)}`;
      const other = known !== id ? `the token also has id ${known}` : `the id also means ${excerpt(holder)}`;
      throw new InputError(`${path}: expected one id for each token, found ${found}: ${other}`);
    }
    this.tokens[id] = token;
    this.ids.set(token, id);
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
  const all = new Uint32Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
