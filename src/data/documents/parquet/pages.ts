import { brotliDecompressSync, crc32, gunzipSync } from 'node:zlib';
import { parquetHeader } from 'hyparquet/src/column.js';
import type { CompressionCodec, Compressors } from 'hyparquet/src/types.js';
import { z } from 'zod';
import type { Chunks } from '../bytes.js';
import type { Restart } from '../position.js';
import { Problem } from '../problems.js';
import { unzstdSync } from '../zstd.js';
import {
  broken,
  deltaLengthTexts,
  deltaNumbers,
  deltaTexts,
  hybrid,
  PageReader,
  plainNumbers,
  plainTexts,
} from './encodings.js';
import { unlz4 } from './lz4.js';
import { unsnappy } from './snappy.js';
import { checkThrift } from './thrift.js';

/** The part of a row group that holds one column. */
export interface ColumnChunk {
  readonly codec: CompressionCodec;
  /** Bytes of the file. */
  readonly start: number;
  readonly end: number;
  /** Rows of the file: that before it, and those that it has. */
  readonly firstRow: number;
  readonly rows: number;
  /** Values that it has, nulls and empty lists among them: of a column that is in no list, a value a row. */
  readonly values: number;
  /** How many of the column and what it is nested in may be null. */
  readonly maxLevel: number;
  /** How many lists it is nested in. */
  readonly maxRepetition: number;
  /** Of whole numbers: the bytes of each. */
  readonly valueBytes?: 4 | 8 | undefined;
}

const size = z.int().min(0);

/** What counts of a page's header. */
const headerSchema = z.object({
  type: z.enum(['DATA_PAGE', 'DATA_PAGE_V2', 'DICTIONARY_PAGE', 'INDEX_PAGE']),
  uncompressed_page_size: size,
  compressed_page_size: size,
  crc: z.int().optional(),
  dictionary_page_header: z.object({ num_values: size }).optional(),
  data_page_header: z.object({ num_values: size, encoding: z.string() }).optional(),
  data_page_header_v2: z
    .object({
      num_values: size,
      encoding: z.string(),
      definition_levels_byte_length: size,
      repetition_levels_byte_length: size,
      is_compressed: z.boolean(),
    })
    .optional(),
});

type PageHeader = z.infer<typeof headerSchema>;

/** Some values of the column. */
export interface Page {
  /** Where reading can start again; of a column in lists, `before` counts values instead of rows. */
  readonly restart: Restart;
  /** Undefined where null, or an empty list. */
  readonly texts: readonly (Buffer | undefined)[];
  /** Of each, how much of the column and what it is nested in is there; absent where nothing can be null. */
  readonly levels: Uint32Array | undefined;
  /** Of each, in which list it is a further element; 0 where it starts a row; absent where it is in no list. */
  readonly repetitions: Uint32Array | undefined;
}

/** Headers can hold statistics: mostly the first is plenty. */
const HEADER_BYTES = [2 ** 14, 2 ** 24];
/** Beyond it, a page's header is thought to be damaged. */
const MOST_VALUES = 2 ** 23;

/** Pages one by one, so that memory does not depend on the size of row groups. @throws Problem */
export async function* pagesOf(
  chunks: Chunks,
  column: ColumnChunk,
  from: Restart | undefined,
): AsyncGenerator<Page> {
  let at = column.start;
  let row = column.firstRow;
  let dictionary: Buffer[] | undefined;
  while (row < column.firstRow + column.values) {
    if (at >= column.end) throw broken(`${row - column.firstRow} of ${column.values} values in a row group`);
    const { header, bytes } = await readHeader(chunks, at, column.end);
    const restart: Restart = { at, before: row };
    const bodyAt = at + bytes;
    at = bodyAt + header.compressed_page_size;
    if (header.type === 'DICTIONARY_PAGE') {
      dictionary = readDictionary(await readBody(chunks, bodyAt, header), header, column);
    } else if (header.type === 'DATA_PAGE' || header.type === 'DATA_PAGE_V2') {
      if (from && from.at > restart.at) {
        [at, row] = [from.at, from.before];
        continue;
      }
      const values = readTexts(await readBody(chunks, bodyAt, header), header, column, dictionary);
      row += values.texts.length;
      if (row > column.firstRow + column.values) throw broken('more values than the row group has');
      yield { restart, ...values };
    }
  }
}

async function readHeader(
  chunks: Chunks,
  at: number,
  end: number,
): Promise<{ header: PageHeader; bytes: number }> {
  for (const size of HEADER_BYTES) {
    const bytes = (await chunks.from(at, Math.min(size, end - at))).subarray(0, Math.min(size, end - at));
    try {
      checkThrift(bytes);
    } catch (error) {
      if (size === HEADER_BYTES.at(-1) || bytes.length < size) throw error;
      continue;
    }
    const reader = { view: new DataView(bytes.buffer, bytes.byteOffset, bytes.length), offset: 0 };
    const parsed = headerSchema.safeParse(understood(() => parquetHeader(reader)));
    if (!parsed.success) throw broken(`a header of another form (${parsed.error.issues[0]!.message})`);
    const header = parsed.data;
    if (at + reader.offset + header.compressed_page_size > end) throw broken('a page longer than its column');
    return { header, bytes: reader.offset };
  }
  throw broken('a header without an end');
}

/** What a parser that throws all kinds of errors makes of bytes. */
export function understood<T>(parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    throw error instanceof Problem ? error : broken(`bytes that are none (${(error as Error).message})`);
  }
}

async function readBody(chunks: Chunks, at: number, header: PageHeader): Promise<Buffer> {
  const length = header.compressed_page_size;
  const bytes = (await chunks.from(at, length)).subarray(0, length);
  if (bytes.length < length) throw broken('the end of the file');
  if (header.crc !== undefined && crc32(bytes) !== header.crc >>> 0) throw broken('a wrong checksum');
  return bytes;
}

function readDictionary(body: Buffer, header: PageHeader, column: ColumnChunk): Buffer[] {
  const count = header.dictionary_page_header?.num_values;
  if (count === undefined) throw broken('a dictionary without a size');
  const reader = new PageReader(decompress(column.codec, body, header.uncompressed_page_size));
  return plainValues(reader, count, column);
}

const plainValues = (reader: PageReader, count: number, { valueBytes }: ColumnChunk): Buffer[] =>
  valueBytes === undefined ? plainTexts(reader, count) : plainNumbers(reader, count, valueBytes);

function readTexts(
  body: Buffer,
  header: PageHeader,
  column: ColumnChunk,
  dictionary: readonly Buffer[] | undefined,
): Omit<Page, 'restart'> {
  const { count, encoding, values, ...parts } = partsOf(body, header, column);
  const { maxLevel, maxRepetition } = column;
  const levelsOf = (reader: PageReader | undefined, most: number) =>
    reader && hybrid(reader, 32 - Math.clz32(most), count);
  const repetitions = levelsOf(parts.repetitions, maxRepetition);
  const levels = levelsOf(parts.levels, maxLevel);
  const valuesOf = (count: number) => readValues(values, encoding, count, column, dictionary);
  if (!levels) return { texts: valuesOf(count), levels, repetitions };
  const there = levels.reduce((sum, level) => sum + Number(level === maxLevel), 0);
  const texts = valuesOf(there);
  if (there === count) return { texts, levels, repetitions };
  let next = 0;
  const all = Array.from(levels, (level) => (level === maxLevel ? texts[next++] : undefined));
  return { texts: all, levels, repetitions };
}

interface Parts {
  /** Values of the page. */
  readonly count: number;
  readonly encoding: string;
  readonly repetitions: PageReader | undefined;
  readonly levels: PageReader | undefined;
  readonly values: PageReader;
}

/** Version 1 compresses levels and values together, version 2 the values alone. */
function partsOf(body: Buffer, header: PageHeader, column: ColumnChunk): Parts {
  const { codec, maxLevel, maxRepetition } = column;
  const { data_page_header: first, data_page_header_v2: second, uncompressed_page_size: size } = header;
  const count = (second ?? first)?.num_values;
  if (count === undefined || count > Math.min(column.values, MOST_VALUES)) {
    throw broken(`${count} of ${column.values} values`);
  }
  if (second) {
    const { encoding, repetition_levels_byte_length: before, definition_levels_byte_length: length } = second;
    const reader = new PageReader(body);
    const [repetitions, levels] = [new PageReader(reader.take(before)), new PageReader(reader.take(length))];
    const stored = body.subarray(before + length);
    const isStored = second.is_compressed === false;
    const values = new PageReader(isStored ? stored : decompress(codec, stored, size - before - length));
    return { count, encoding, values, ...present(repetitions, maxRepetition, levels, maxLevel) };
  }
  const values = new PageReader(decompress(codec, body, size));
  const next = (most: number) => (most > 0 ? new PageReader(values.take(values.uint32())) : undefined);
  const repetitions = next(maxRepetition);
  const levels = next(maxLevel);
  return { count, encoding: first!.encoding, repetitions, levels, values };
}

const present = (repetitions: PageReader, maxRepetition: number, levels: PageReader, maxLevel: number) => ({
  repetitions: maxRepetition > 0 ? repetitions : undefined,
  levels: maxLevel > 0 ? levels : undefined,
});

function readValues(
  reader: PageReader,
  encoding: string,
  count: number,
  column: ColumnChunk,
  dictionary: readonly Buffer[] | undefined,
): Buffer[] {
  const { valueBytes } = column;
  if (encoding === 'PLAIN') return plainValues(reader, count, column);
  if (valueBytes && encoding === 'DELTA_BINARY_PACKED') return deltaNumbers(reader, count, valueBytes);
  if (!valueBytes && encoding === 'DELTA_LENGTH_BYTE_ARRAY') return deltaLengthTexts(reader, count);
  if (!valueBytes && encoding === 'DELTA_BYTE_ARRAY') return deltaTexts(reader, count);
  if (encoding !== 'PLAIN_DICTIONARY' && encoding !== 'RLE_DICTIONARY') {
    throw broken(`the encoding ${encoding}`);
  }
  if (count === 0) return [];
  const width = reader.take(1)[0]!;
  return Array.from(hybrid(reader, width, count), (index) => {
    const text = dictionary?.[index];
    if (!text) throw broken('a value outside of the dictionary');
    return text;
  });
}

type Decompressor = (bytes: Buffer, length: number) => Uint8Array;

/** With the most that a byte can become. */
const CODECS: Partial<Record<CompressionCodec, [most: number, Decompressor]>> = {
  UNCOMPRESSED: [1, (bytes) => bytes],
  SNAPPY: [22, unsnappy],
  GZIP: [1032, (bytes, length) => gunzipSync(bytes, { maxOutputLength: length })],
  ZSTD: [2 ** 15, unzstdSync],
  BROTLI: [2 ** 15, (bytes, length) => brotliDecompressSync(bytes, { maxOutputLength: length })],
  LZ4_RAW: [255, unlz4],
};

const CODEC_NAMES = Object.keys(CODECS).join(', ');
const LEAST_LIMIT = 2 ** 17;

function decompress(codec: CompressionCodec, bytes: Buffer, length: number): Buffer {
  if (length === 0) return Buffer.alloc(0);
  const known = CODECS[codec];
  if (!known) {
    throw new Problem(`expected Parquet compressed with ${CODEC_NAMES}, found ${codec}; write it again`, {
      endsFile: true,
    });
  }
  const [most, decompressor] = known;
  if (!(length > 0 && length <= most * bytes.length + LEAST_LIMIT)) throw broken(`a page of ${length} bytes`);
  const page = understood(() => decompressor(bytes, length));
  if (page.length !== length) throw broken(`${page.length} bytes instead of ${length} in a page`);
  return Buffer.from(page.buffer, page.byteOffset, page.length);
}

/** The same for hyparquet. */
export const DECOMPRESSORS: Compressors = Object.fromEntries(
  Object.keys(CODECS).map((name) => [
    name,
    (bytes: Uint8Array, length: number) =>
      decompress(name as CompressionCodec, Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length), length),
  ]),
);
