import { excerpt, InputError } from '../../errors.js';
import { compileWasm } from '../../wasm/module.js';
import type { BpeFile, NormalizerStep } from './file.js';

/** The exports of assembly/tokenizer; numbers above 2^31 arrive negative. */
interface Exports {
  memory: WebAssembly.Memory;
  constant(bytes: number): number;
  configure(merges: number, unknownId: number, fuseUnknown: boolean): void;
  setSymbol(codePoint: number, id: number): void;
  setByte(byte: number, id: number): void;
  addMerge(left: number, right: number, product: number): void;
  startText(capacity: number): number;
  endText(bytes: number): void;
  prepend(prefix: number, bytes: number): void;
  replace(pattern: number, patternBytes: number, content: number, contentBytes: number): void;
  encode(byWords: boolean): number;
  text: { value: number };
  textBytes: { value: number };
  ids: { value: number };
}

export interface EncodeTextOptions {
  /** Apply the normalizer first (default: true). */
  normalize?: boolean;
  /** Merge words on their own and remember them (default: where that gives the same ids, which is then faster). */
  byWords?: boolean;
}

const NONE = 0xffffffff;
const META = '▁';
const byteTokens = Array.from(
  { length: 256 },
  (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`,
);
const encoder = new TextEncoder();
const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });

/** Normalizer and BPE model of one `tokenizer.json`, in a WASM instance of its own. */
export class Bpe {
  /** [2 x merges] the ids that each merge joins, in rank order. */
  readonly merges: Uint32Array;
  private readonly wasm: Exports;
  private readonly normalizer: (() => void)[];
  /** Words can be merged on their own: see `wordsAreIndependent`. */
  readonly byWords: boolean;

  /** `path` is where the file is, for messages; throws an InputError where the model contradicts itself. */
  constructor(path: string, model: BpeFile, normalizer: readonly NormalizerStep[]) {
    this.wasm = new WebAssembly.Instance(compileWasm('tokenizer')).exports as Exports;
    this.normalizer = normalizer.map((step) => this.compileStep(step));
    this.wasm.configure(model.merges.length, unknownId(path, model), model.fuse_unk);
    this.setSymbols(model);
    this.merges = new Uint32Array(2 * model.merges.length);
    this.addMerges(path, model);
    this.byWords = wordsAreIndependent(model);
  }

  /**
   * The ids of a text without any added tokens in it. Lone surrogates count as U+FFFD.
   * @throws InputError for a text that does not fit into WASM's 4 GiB
   */
  encode(text: string, { normalize = true, byWords = this.byWords }: EncodeTextOptions = {}): Uint32Array {
    return withinMemory(text, () => {
      this.load(text, normalize);
      const count = this.wasm.encode(byWords);
      return new Uint32Array(this.wasm.memory.buffer, this.wasm.ids.value >>> 0, count).slice();
    });
  }

  /** The text as the model sees it. */
  normalize(text: string): string {
    return withinMemory(text, () => {
      this.load(text, true);
      const { memory, text: start, textBytes } = this.wasm;
      return utf8.decode(new Uint8Array(memory.buffer, start.value >>> 0, textBytes.value));
    });
  }

  /** Bytes that the instance holds: tables plus the largest text so far. */
  get memoryBytes(): number {
    return this.wasm.memory.buffer.byteLength;
  }

  private load(text: string, normalize: boolean): void {
    const capacity = 3 * text.length;
    const start = this.wasm.startText(capacity) >>> 0;
    const { written } = encoder.encodeInto(text, new Uint8Array(this.wasm.memory.buffer, start, capacity));
    this.wasm.endText(written);
    if (normalize) for (const step of this.normalizer) step();
  }

  private compileStep(step: NormalizerStep): () => void {
    if (step.type === 'Prepend') {
      const prefix = this.constant(step.prepend);
      return () => this.wasm.prepend(prefix.start, prefix.bytes);
    }
    const pattern = this.constant(step.pattern.String);
    const content = this.constant(step.content);
    return () => this.wasm.replace(pattern.start, pattern.bytes, content.start, content.bytes);
  }

  private constant(text: string): { start: number; bytes: number } {
    const bytes = encoder.encode(text);
    const start = this.wasm.constant(bytes.length);
    new Uint8Array(this.wasm.memory.buffer).set(bytes, start);
    return { start, bytes: bytes.length };
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

  private addMerges(path: string, { vocab, merges }: BpeFile): void {
    merges.forEach((merge, rank) => {
      const [left, right] = partsOf(merge);
      const [leftId, rightId, productId] = [vocab.get(left), vocab.get(right), vocab.get(left + right)];
      if (leftId === undefined || rightId === undefined || productId === undefined) {
        const field = `${path}: model.merges.${rank}`;
        throw new InputError(`${field}: expected two tokens whose union is a token, found ${excerpt(merge)}`);
      }
      this.merges.set([leftId, rightId], 2 * rank);
      this.wasm.addMerge(leftId, rightId, productId);
    });
  }
}

function partsOf(merge: BpeFile['merges'][number]): readonly [left: string, right: string] {
  return typeof merge === 'string' ? (merge.split(' ') as [string, string]) : merge;
}

/**
 * Whether words, beginning at each run of "▁", can be merged on their own: no merge reaches over such a beginning,
 * "▁" is itself a token (which ends a pending unknown one), and no character is dropped (so none joins two words).
 */
function wordsAreIndependent({ vocab, merges, unk_token, byte_fallback }: BpeFile): boolean {
  const dropsNothing = unk_token !== null || (byte_fallback && byteTokens.every((token) => vocab.has(token)));
  return vocab.has(META) && dropsNothing && !merges.some((merge) => /[^▁]▁/u.test(partsOf(merge).join('')));
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
