import { excerpt, InputError } from '../../base/errors.js';
import { compileWasm } from '../../wasm/module.js';
import { checkGrowth, mostLength } from './bounds.js';
import { charOfByte, PackedStrings } from './bytes.js';
import type { BpeFile, TokenizerFile } from './file.js';
import { type ByteStep, planNormalizer } from './normalizer.js';
import { planSplit, type SplitPlan, WAYS } from './preTokenizer.js';
import { characterClasses } from './unicode.js';

/** The exports of assembly/tokenizer; numbers above 2^31 arrive negative. */
interface Exports {
  memory: WebAssembly.Memory;
  constant(bytes: number): number;
  configure(merges: number, byteLevel: boolean, unknownId: number, fuseUnknown: boolean): void;
  setClasses(index: number, classes: number): void;
  setSymbol(codePoint: number, id: number): void;
  setByte(byte: number, id: number): void;
  addTokens(bytes: number, entries: number, count: number): void;
  addMerges(bytes: number, lengths: number, count: number, ids: number): number;
  seal(end: number, bytes: number, entries: number, tokens: number): void;
  startText(capacity: number): number;
  endText(bytes: number): void;
  prepend(prefix: number, bytes: number): void;
  replace(pattern: number, patternBytes: number, content: number, contentBytes: number): void;
  encode(way: number): number;
  encodeByLengths(lengths: number, count: number): number;
  text: { value: number };
  textBytes: { value: number };
  ids: { value: number };
}

export interface EncodeTextOptions {
  /** Apply the normalizer first (default: true). */
  normalize?: boolean;
  /** The text begins its document (default: false). */
  isFirst?: boolean;
  /** Merge words on their own and remember them (default: where that gives the same ids, which is then faster). */
  byWords?: boolean;
}

interface Constant {
  readonly start: number;
  readonly bytes: number;
}

/** Of UTF-8 for a unit of UTF-16, at most. */
const BYTES_A_UNIT = 3;
const NONE = 0xffffffff;
const META = '▁';
const byteTokens = Array.from(
  { length: 256 },
  (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`,
);
const encoder = new TextEncoder();
const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });

/** Normalizer, pre-tokenizer and BPE model of one `tokenizer.json`, in a WASM instance of its own. */
export class Bpe {
  /** [2 x merges] the ids that each merge joins, in rank order. */
  readonly merges: Uint32Array;
  /** There is no pre-tokenizer, but words can be merged on their own: see `wordsAreIndependent`. */
  readonly byWords: boolean;
  private readonly wasm: Exports;
  private readonly onString: ((text: string) => string) | undefined;
  private readonly onBytes: ((most: number) => void)[];
  private readonly plan: SplitPlan;
  private readonly blank: Constant;
  private readonly meta: Constant;

  /** Throws an InputError where the model contradicts itself or something in the file is not supported. */
  constructor({ path, model, normalizer, preTokenizer }: TokenizerFile) {
    const { onString, onBytes } = planNormalizer(path, normalizer);
    this.plan = planSplit(path, preTokenizer, normalizer);
    this.wasm = new WebAssembly.Instance(compileWasm('tokenizer')).exports as Exports;
    this.onString = onString;
    this.onBytes = onBytes.map((step) => this.compileStep(`${path}: normalizer`, step));
    [this.blank, this.meta] = [this.constant(' '), this.constant(META)];
    const { byteLevel } = this.plan;
    this.wasm.configure(model.merges.length, byteLevel, unknownId(path, model), model.fuse_unk);
    this.setClasses();
    if (byteLevel) this.setByteSymbols(path, model);
    else this.setSymbols(model);
    const end = this.wasm.constant(0) >>> 0;
    const tokens = this.addTokens(model);
    this.merges = this.addMerges(path, model);
    this.wasm.seal(end, tokens.bytes, tokens.entries, model.ignore_merges ? tokens.count : 0);
    this.byWords = preTokenizer.length === 0 && wordsAreIndependent(model);
  }

  /**
   * The ids of a text without any added tokens in it. Lone surrogates count as U+FFFD.
   * @throws InputError for a text that does not fit into WASM's 4 GiB
   */
  encode(text: string, options: EncodeTextOptions = {}): Uint32Array {
    const { normalize = true, isFirst = false, byWords = this.byWords } = options;
    return withinMemory(text, () => {
      const { split } = this.plan;
      if (typeof split === 'function') {
        return this.encodePieces(split(normalize ? this.normalize(text) : text, isFirst));
      }
      this.load(text, normalize);
      this.addPrefix(isFirst);
      return this.ids(this.wasm.encode(byWords ? WAYS.metaRuns : split));
    });
  }

  /** The text as the pre-tokenizer sees it. */
  normalize(text: string): string {
    return withinMemory(text, () => {
      if (this.onBytes.length === 0) return this.onString?.(text) ?? text;
      this.load(text, true);
      const { memory, text: start, textBytes } = this.wasm;
      return utf8.decode(new Uint8Array(memory.buffer, start.value >>> 0, textBytes.value));
    });
  }

  /** Bytes that the instance holds: tables plus the largest text so far. */
  get memoryBytes(): number {
    return this.wasm.memory.buffer.byteLength;
  }

  private encodePieces(pieces: readonly string[]): Uint32Array {
    this.load(pieces.join(''), false);
    const lengths = this.wasm.constant(4 * pieces.length) >>> 0;
    new Uint32Array(this.wasm.memory.buffer, lengths, pieces.length).set(pieces.map(({ length }) => length));
    return this.ids(this.wasm.encodeByLengths(lengths, pieces.length));
  }

  private ids(count: number): Uint32Array {
    return new Uint32Array(this.wasm.memory.buffer, this.wasm.ids.value >>> 0, count).slice();
  }

  private load(text: string, normalize: boolean): void {
    const source = normalize ? (this.onString?.(text) ?? text) : text;
    const capacity = BYTES_A_UNIT * source.length;
    const start = this.wasm.startText(capacity) >>> 0;
    const { written } = encoder.encodeInto(source, new Uint8Array(this.wasm.memory.buffer, start, capacity));
    this.wasm.endText(written);
    if (!normalize) return;
    const most = BYTES_A_UNIT * mostLength(text.length);
    for (const step of this.onBytes) step(most);
  }

  private addPrefix(isFirst: boolean): void {
    const { metaspace, prefix } = this.plan;
    const { blank, meta, wasm } = this;
    if (metaspace) wasm.replace(blank.start, blank.bytes, meta.start, meta.bytes);
    if (prefix === undefined || (prefix.firstOnly && !isFirst)) return;
    const wanted = prefix.text === META ? meta : blank;
    const bytes = Buffer.from(wasm.memory.buffer);
    const start = wasm.text.value >>> 0;
    const has =
      bytes.compare(bytes, wanted.start, wanted.start + wanted.bytes, start, start + wanted.bytes) === 0;
    if (!has) wasm.prepend(wanted.start, wanted.bytes);
  }

  /** @returns what does it, given the bytes that the text may become */
  private compileStep(where: string, step: ByteStep): (most: number) => void {
    const { wasm } = this;
    if (step.type === 'Prepend') {
      const prefix = this.constant(step.prepend);
      return (most) => {
        checkGrowth(where, wasm.textBytes.value + prefix.bytes, most);
        wasm.prepend(prefix.start, prefix.bytes);
      };
    }
    const [pattern, content] = [this.constant(step.pattern), this.constant(step.content)];
    const growth = content.bytes - pattern.bytes;
    return (most) => {
      const { value: bytes } = wasm.textBytes;
      // Only what could become too long is counted.
      if (bytes + Math.ceil(bytes / pattern.bytes) * growth > most) {
        checkGrowth(where, bytes + this.occurrences(step.pattern) * growth, most);
      }
      wasm.replace(pattern.start, pattern.bytes, content.start, content.bytes);
    };
  }

  private occurrences(pattern: string): number {
    const { memory, text, textBytes } = this.wasm;
    const bytes = Buffer.from(memory.buffer, text.value >>> 0, textBytes.value);
    const wanted = Buffer.from(pattern);
    let count = 0;
    for (let at = bytes.indexOf(wanted); at >= 0; at = bytes.indexOf(wanted, at + wanted.length)) count++;
    return count;
  }

  private constant(text: string): Constant {
    return this.store(encoder.encode(text));
  }

  private store(bytes: Uint8Array): Constant {
    const start = this.wasm.constant(bytes.length) >>> 0;
    new Uint8Array(this.wasm.memory.buffer).set(bytes, start);
    return { start, bytes: bytes.length };
  }

  private setClasses(): void {
    const { blockOf, classes } = characterClasses();
    const index = this.store(new Uint8Array(blockOf.buffer));
    this.wasm.setClasses(index.start, this.store(classes).start);
  }

  private setByteSymbols(path: string, { vocab, byte_fallback }: BpeFile): void {
    charOfByte.forEach((char, byte) => {
      const id = vocab.get(char);
      if (id !== undefined) this.wasm.setByte(byte, id);
      else if (byte_fallback) {
        throw new InputError(
          `${path}: model.byte_fallback: expected a token for each byte, found none for ${excerpt(char)}`,
        );
      }
    });
  }

  private setSymbols({ vocab, byte_fallback }: BpeFile): void {
    for (const [token, id] of vocab) {
      const codePoint = token.codePointAt(0);
      if (codePoint === undefined) continue;
      if (token.length === (codePoint > 0xffff ? 2 : 1)) this.wasm.setSymbol(codePoint, id);
    }
    if (!byte_fallback) return;
    byteTokens.forEach((token, byte) => {
      const id = vocab.get(token);
      if (id !== undefined) this.wasm.setByte(byte, id);
    });
  }

  /** Tokens whose bytes no text has are left out. */
  private addTokens({ vocab }: BpeFile) {
    const strings = new PackedStrings(this.plan.byteLevel);
    const entries: number[] = [];
    for (const [token, id] of vocab) {
      const length = strings.add(token);
      if (length > 0) entries.push(length, id);
    }
    const { start } = this.store(strings.bytes);
    const list = this.store(new Uint8Array(Uint32Array.from(entries).buffer));
    const count = entries.length / 2;
    this.wasm.addTokens(start, list.start, count);
    return { bytes: start, entries: list.start, count };
  }

  /** [2 x merges] the ids that each merge joins. */
  private addMerges(path: string, { merges }: BpeFile): Uint32Array {
    const strings = new PackedStrings(this.plan.byteLevel);
    const lengths = new Uint32Array(2 * merges.length);
    const refuse = (rank: number) => {
      const field = `${path}: model.merges.${rank}`;
      throw new InputError(
        `${field}: expected two tokens whose union is a token, found ${excerpt(merges[rank])}`,
      );
    };
    merges.forEach((merge, rank) => {
      const [left = '', right = ''] = partsOf(merge);
      const [leftBytes, rightBytes] = [strings.add(left), strings.add(right)];
      if (leftBytes <= 0 || rightBytes <= 0) refuse(rank);
      lengths[2 * rank] = leftBytes;
      lengths[2 * rank + 1] = rightBytes;
    });
    const { start } = this.store(strings.bytes);
    const list = this.store(new Uint8Array(lengths.buffer));
    const ids = this.wasm.constant(8 * merges.length) >>> 0;
    const added = this.wasm.addMerges(start, list.start, merges.length, ids);
    if (added < merges.length) refuse(added);
    return new Uint32Array(this.wasm.memory.buffer, ids, 2 * merges.length).slice();
  }
}

/**
 * Whether words, beginning at each run of "▁", can be merged on their own: no merge reaches over such a beginning,
 * "▁" is itself a token (which ends a pending unknown one), and no character is dropped (so none joins two words).
 */
function wordsAreIndependent({ vocab, merges, unk_token, byte_fallback, ignore_merges }: BpeFile): boolean {
  if (ignore_merges || !vocab.has(META)) return false;
  const dropsNothing = unk_token !== null || (byte_fallback && byteTokens.every((token) => vocab.has(token)));
  return dropsNothing && !merges.some((merge) => /[^▁]▁/u.test(partsOf(merge).join('')));
}

function unknownId(path: string, { unk_token, vocab }: BpeFile): number {
  if (unk_token === null) return NONE;
  const id = vocab.get(unk_token);
  if (id === undefined) {
    throw new InputError(
      `${path}: model.unk_token: expected a token of the vocabulary, found ${excerpt(unk_token)}`,
    );
  }
  return id;
}

/** The two tokens of a merge: a pair, or with a space between; none for anything else. */
function partsOf(merge: unknown): [left: string, right: string] | [] {
  if (typeof merge === 'string') {
    const at = merge.indexOf(' ');
    return at < 0 || merge.includes(' ', at + 1) ? [] : [merge.slice(0, at), merge.slice(at + 1)];
  }
  const isPair =
    Array.isArray(merge) && merge.length === 2 && merge.every((part) => typeof part === 'string');
  return isPair ? (merge as [string, string]) : [];
}

/** The WASM code traps as unreachable when its memory cannot grow. */
function withinMemory<T>(text: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof WebAssembly.RuntimeError)) throw error;
    throw new InputError(
      `expected a text that fits into 4 GiB with its tables, found one of ${text.length} characters: split it into documents`,
    );
  }
}
