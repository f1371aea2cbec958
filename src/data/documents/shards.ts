import { DTYPE_BYTES, type TensorInfo } from '../../formats/safetensors.js';
import type { EncodedExample } from '../examples.js';
import { broken, openShard, readWhole, type Shard } from '../shards/format.js';
import type { ByteFile } from './bytes.js';
import { Problem } from './problems.js';
import type { Item, Reader } from './text.js';

/** Documents whose ends, bytes and fractions are read at once. */
const BATCH_DOCUMENTS = 4096;

/** Token shards: documents as ids, in slices; reading starts at any of them. */
export const readShards: Reader = async function* ({ chunks }, start) {
  const shard = await openShard(chunks.file);
  const reader = new ShardReader(chunks.file, shard);
  for (let first = start.index; first < shard.documents; first += BATCH_DOCUMENTS) {
    const count = Math.min(BATCH_DOCUMENTS, shard.documents - first);
    yield* reader.documents(first, count);
  }
};

/** What is known of some documents. */
interface Batch {
  /** Where the first one begins, and where each ends. */
  readonly bounds: Float64Array;
  readonly bytes: Float64Array;
  readonly fractions: Float64Array;
  readonly texts: Uint8Array;
}

class ShardReader {
  readonly #vocabulary: number;
  readonly #length: number;
  readonly #documents: number;
  readonly #tokens: Slices<Uint32Array>;
  readonly #learned: Slices<Uint8Array> | undefined;
  readonly #ends: Slices<Float64Array>;
  readonly #bytes: Slices<Float64Array>;
  readonly #fractions: Slices<Float64Array>;
  readonly #texts: Slices<Uint8Array>;

  constructor(file: ByteFile, { encoding, documents, tokens, ends, bytes, fraction, text, learned }: Shard) {
    this.#vocabulary = encoding.vocabulary;
    this.#length = tokens.shape[0]!;
    this.#documents = documents;
    this.#tokens = new Slices(file, tokens, tokens.dtype === 'U16' ? widened : uint32s);
    this.#learned = learned && new Slices(file, learned, uint8s);
    this.#ends = new Slices(file, ends, integers);
    this.#bytes = new Slices(file, bytes, integers);
    this.#fractions = new Slices(file, fraction, float64s);
    this.#texts = new Slices(file, text, uint8s);
  }

  async *documents(first: number, count: number): AsyncGenerator<Item> {
    const { bounds, bytes, fractions, texts } = await this.#batch(first, count);
    for (let i = 0; i < count; i++) {
      const position = { index: first + i, byteOffset: 0, line: 0 };
      const [begin, length] = [bounds[i]!, bounds[i + 1]! - bounds[i]!];
      const tokens = this.#tokens.held(begin, length) ?? (await this.#tokens.read(begin, length));
      const isText = texts[i] === 1;
      const mask = isText ? undefined : this.#learned;
      const learned = mask && (mask.held(begin, length) ?? (await mask.read(begin, length)));
      const example = { tokens, learned, bytes: bytes[i]!, fraction: fractions[i]!, isText };
      const problem = problemOf(example, this.#vocabulary);
      yield problem ? { position, problem } : { position, example };
    }
  }

  /** @throws Problem unless the documents lie one after the other, up to the last token */
  async #batch(first: number, count: number): Promise<Batch> {
    const bounds = new Float64Array(count + 1);
    if (first > 0) bounds[0] = (await this.#ends.read(first - 1, 1))[0]!;
    bounds.set(await this.#ends.read(first, count), 1);
    for (let i = 0; i < count; i++) {
      const isAscending = bounds[i]! >= 0 && bounds[i + 1]! >= bounds[i]! && bounds[i + 1]! <= this.#length;
      if (isAscending) continue;
      const expected = `ends that ascend to ${this.#length}`;
      throw broken(expected, `${bounds[i + 1]} after ${bounds[i]} at document ${first + i}`);
    }
    if (first + count === this.#documents && bounds[count] !== this.#length) {
      throw broken(`${this.#length} as the end of the last document`, `${bounds[count]}`);
    }
    const bytes = await this.#bytes.read(first, count);
    const fractions = await this.#fractions.read(first, count);
    return { bounds, bytes, fractions, texts: await this.#texts.read(first, count) };
  }
}

function problemOf({ tokens, learned, bytes, fraction }: EncodedExample, vocabulary: number) {
  const damaged = (expected: string, found: string) =>
    new Problem(`expected ${expected}, found ${found}; write the shard again`);
  let largest = 0;
  for (let i = 0; i < tokens.length; i++) if (tokens[i]! > largest) largest = tokens[i]!;
  if (tokens.length > 0 && largest >= vocabulary) {
    return damaged(`ids below ${vocabulary}, the size of the vocabulary`, `id ${largest}`);
  }
  if (learned?.some((value) => value > 1)) return damaged('a mask of 0 and 1', 'other values');
  if (!(bytes >= 0 && Number.isSafeInteger(bytes))) return damaged('bytes of 0 or more', `${bytes}`);
  return fraction >= 0 && fraction < 1 ? undefined : damaged('a fraction from 0 to below 1', `${fraction}`);
}

type Elements = Uint8Array | Uint32Array | Float64Array;

/** The elements of a tensor, read mostly forwards in slices, of which one is held. What is given are views. */
class Slices<T extends Elements> {
  readonly #file: ByteFile;
  readonly #tensor: TensorInfo;
  readonly #convert: (bytes: Uint8Array) => T;
  readonly #width: number;
  #first = 0;
  #elements: T | undefined;

  /** @param convert bytes that start at a multiple of 8 in their buffer */
  constructor(file: ByteFile, tensor: TensorInfo, convert: (bytes: Uint8Array) => T) {
    this.#file = file;
    this.#tensor = tensor;
    this.#convert = convert;
    this.#width = DTYPE_BYTES[tensor.dtype];
  }

  /** Elements that are all in memory. */
  held(first: number, count: number): T | undefined {
    const found = this.#inMemory(first, count);
    return found?.length === count ? found : undefined;
  }

  /** @throws Problem when the file ends early */
  async read(first: number, count: number): Promise<T> {
    const start = this.#inMemory(first, count);
    if (start?.length === count) return start;
    if (!start) return this.#load(first, count);
    const rest = await this.#load(first + start.length, count - start.length);
    const joined = new (start.constructor as new (length: number) => T)(count);
    joined.set(start);
    joined.set(rest, start.length);
    return joined;
  }

  /** Those of the elements, from the first one on, that are in memory. */
  #inMemory(first: number, count: number): T | undefined {
    const at = first - this.#first;
    if (!this.#elements || at < 0 || at > this.#elements.length) return undefined;
    return this.#elements.subarray(at, at + count) as T;
  }

  /** Slices follow one another, so that what is remote can be fetched ahead. */
  async #load(first: number, count: number): Promise<T> {
    const { byteOffset, byteLength } = this.#tensor;
    const at = first * this.#width;
    const length = Math.min(Math.max(this.#file.chunkBytes, count * this.#width), byteLength - at);
    const bytes = await readWhole(this.#file, byteOffset + at, length);
    this.#elements = this.#convert(bytes.byteOffset % 8 === 0 ? bytes : new Uint8Array(bytes));
    this.#first = first;
    return this.#elements.subarray(0, count) as T;
  }
}

const uint8s = ({ buffer, byteOffset, length }: Uint8Array): Uint8Array =>
  new Uint8Array(buffer, byteOffset, length);

const uint32s = ({ buffer, byteOffset, length }: Uint8Array): Uint32Array =>
  new Uint32Array(buffer, byteOffset, length / 4);

const float64s = ({ buffer, byteOffset, length }: Uint8Array): Float64Array =>
  new Float64Array(buffer, byteOffset, length / 8);

const widened = ({ buffer, byteOffset, length }: Uint8Array): Uint32Array =>
  new Uint32Array(new Uint16Array(buffer, byteOffset, length / 2));

const integers = ({ buffer, byteOffset, length }: Uint8Array): Float64Array =>
  Float64Array.from(new BigInt64Array(buffer, byteOffset, length / 8), Number);
