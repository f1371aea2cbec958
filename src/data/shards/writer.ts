import { join } from 'node:path';
import { type TensorData, writeSafetensors } from '../../formats/safetensors.js';
import { QMSUM_DEFAULTS } from '../../options/qmsum.js';
import { type EncodedExample, type Example, isText } from '../examples.js';
import type { Encoding } from './fingerprint.js';
import { metadataOf, tokenBytes } from './format.js';

/** A shard is in memory until it is written. */
const SHARD_BYTES = 2 ** 26;
/** Of a document, beside its tokens. */
const DOCUMENT_BYTES = 25;

export interface ShardWriterOptions {
  readonly encoding: Encoding;
  /** Where the text is from, for the metadata. */
  readonly sources: readonly string[];
  /** A shard ends before it is larger, unless it is one document. Default: 64 MiB. */
  readonly shardBytes?: number;
}

/** Writes documents into `tokens-00000.safetensors` and so on. The same documents give the same bytes. */
export class ShardWriter {
  readonly #folder: string;
  readonly #options: ShardWriterOptions;
  readonly #shardBytes: number;
  readonly #tokens: Numbers<Uint16Array | Uint32Array>;
  readonly #learned: Numbers<Uint8Array>;
  #documents: { readonly bytes: number; readonly fraction: number; readonly text: boolean }[] = [];
  #ends: number[] = [];
  #hasMask = false;
  /** What the documents so far depend on, beside the tokenizer. */
  #used: Used = {};
  #files = 0;

  /** @param folder is there, and holds no shards */
  constructor(folder: string, options: ShardWriterOptions) {
    this.#folder = folder;
    this.#options = options;
    this.#shardBytes = options.shardBytes ?? SHARD_BYTES;
    const isShort = tokenBytes(options.encoding) === 2;
    // What a shard of any documents needs; the system gives pages as they are written to.
    const most = Math.floor(this.#shardBytes / tokenBytes(options.encoding));
    this.#tokens = new Numbers<Uint16Array | Uint32Array>(
      isShort ? new Uint16Array(most) : new Uint32Array(most),
    );
    this.#learned = new Numbers(new Uint8Array(most));
  }

  /** @param source what was encoded */
  add(example: EncodedExample, source: Example = example): void {
    const { tokens, learned, bytes, fraction } = example;
    const { encoding } = this.#options;
    const length = this.#tokens.length + tokens.length;
    const size = length * tokenBytes(encoding) + (this.#ends.length + 1) * DOCUMENT_BYTES;
    if (size > this.#shardBytes && this.#ends.length > 0) this.#write();
    this.#tokens.append(tokens);
    this.#learned.append(learned ?? new Uint8Array(tokens.length).fill(1));
    this.#hasMask ||= learned !== undefined;
    this.#used = { ...this.#used, ...usedFor(source, encoding) };
    this.#documents.push({ bytes, fraction, text: isText(example) });
    this.#ends.push(this.#tokens.length);
  }

  /** Writes what is left. @returns the number of files */
  end(): number {
    if (this.#ends.length > 0) this.#write();
    return this.#files;
  }

  #write(): void {
    const { encoding, sources } = this.#options;
    const [documents, count] = [[this.#ends.length], [this.#tokens.length]];
    const integers = (values: readonly number[]) => BigInt64Array.from(values, BigInt);
    const fractions = Float64Array.from(this.#documents, ({ fraction }) => fraction);
    const texts = Uint8Array.from(this.#documents, ({ text }) => Number(text));
    const bytes = integers(this.#documents.map((document) => document.bytes));
    const dtype = tokenBytes(encoding) === 2 ? 'U16' : 'U32';
    const tensors = new Map<string, TensorData>([
      ['tokens', { dtype, shape: count, data: this.#tokens.take() }],
      ['ends', { dtype: 'I64', shape: documents, data: integers(this.#ends) }],
      ['bytes', { dtype: 'I64', shape: documents, data: bytes }],
      ['fraction', { dtype: 'F64', shape: documents, data: fractions }],
      ['text', { dtype: 'U8', shape: documents, data: texts }],
    ]);
    const learned = this.#learned.take();
    if (this.#hasMask) tensors.set('learned', { dtype: 'U8', shape: count, data: learned });
    const name = `tokens-${String(this.#files).padStart(5, '0')}.safetensors`;
    writeSafetensors(
      join(this.#folder, name),
      tensors,
      metadataOf({ ...tokenizing(encoding), ...this.#used }, sources),
    );
    this.#files++;
    this.#documents = [];
    this.#ends = [];
    this.#hasMask = false;
    this.#used = {};
  }
}

type Used = Partial<Pick<Encoding, 'chatTemplate' | 'qmsum'>>;

function usedFor(source: Example, { chatTemplate, qmsum = QMSUM_DEFAULTS }: Encoding): Used {
  if (typeof source === 'string') return {};
  if ('query' in source) return { qmsum, ...(qmsum.prompt === 'chat' && { chatTemplate }) };
  return 'messages' in source ? { chatTemplate } : {};
}

const tokenizing = ({ chatTemplate: _, qmsum: __, ...encoding }: Encoding): Encoding => encoding;

type NumberArray = Uint8Array | Uint16Array | Uint32Array;

/** Numbers in a buffer that grows. */
class Numbers<T extends NumberArray> {
  length = 0;
  #buffer: T;

  constructor(buffer: T) {
    this.#buffer = buffer;
  }

  append(values: NumberArray): void {
    const length = this.length + values.length;
    if (length > this.#buffer.length) {
      const Kind = this.#buffer.constructor as new (length: number) => T;
      const larger = new Kind(Math.max(length, 2 * this.#buffer.length));
      larger.set(this.#buffer);
      this.#buffer = larger;
    }
    this.#buffer.set(values, this.length);
    this.length = length;
  }

  /** All of them, until the next one is appended. */
  take(): NumberArray {
    const all = this.#buffer.subarray(0, this.length);
    this.length = 0;
    return all;
  }
}
