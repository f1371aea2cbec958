import { crc32, gunzipSync } from 'node:zlib';
import { parquetHeader } from 'hyparquet/src/column.js';
import type { CompressionCodec } from 'hyparquet/src/types.js';
import { z } from 'zod';
import type { Chunks } from '../bytes.js';
import type { Restart } from '../position.js';
import { Problem } from '../problems.js';
import { unzstdSync } from '../zstd.js';
import { broken, deltaLengthTexts, deltaTexts, hybrid, PageReader, plainTexts } from './encodings.js';
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
  /** How many of the column and what it is nested in may be null. */
  readonly maxLevel: number;
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
      repetition_levels_byte_length: z.literal(0, 'expected no repeated values'),
      is_compressed: z.boolean(),
    })
    .optional(),
});

type PageHeader = z.infer<typeof headerSchema>;

/** Some rows of the column; undefined where null. */
export interface Page {
  readonly restart: Restart;
  readonly texts: readonly (Buffer | undefined)[];
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
  while (row < column.firstRow + column.rows) {
    if (at >= column.end) throw broken(`${row - column.firstRow} of ${column.rows} rows in a row group`);
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
      const texts = readTexts(await readBody(chunks, bodyAt, header), header, column, dictionary);
      row += texts.length;
      if (row > column.firstRow + column.rows) throw broken('more rows than the row group has');
      yield { restart, texts };
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

function readDictionary(body: Buffer, header: PageHeader, { codec }: ColumnChunk): Buffer[] {
  const count = header.dictionary_page_header?.num_values;
  if (count === undefined) throw broken('a dictionary without a size');
  return plainTexts(new PageReader(decompress(codec, body, header.uncompressed_page_size)), count);
}

function readTexts(
  body: Buffer,
  header: PageHeader,
  column: ColumnChunk,
  dictionary: readonly Buffer[] | undefined,
): (Buffer | undefined)[] {
  const { count, encoding, levels, values } = partsOf(body, header, column);
  const { maxLevel } = column;
  if (!levels) return readValues(values, encoding, count, dictionary);
  const present = hybrid(levels, 32 - Math.clz32(maxLevel), count);
  const there = present.reduce((sum, level) => sum + Number(level === maxLevel), 0);
  const texts = readValues(values, encoding, there, dictionary);
  if (there === count) return texts;
  let next = 0;
  return Array.from(present, (level) => (level === maxLevel ? texts[next++] : undefined));
}

interface Parts {
  /** Rows of the page. */
  readonly count: number;
  readonly encoding: string;
  /** Of each row, how much of the column and what it is nested in is there; absent where nothing can be null. */
  readonly levels: PageReader | undefined;
  readonly values: PageReader;
}

/** Version 1 compresses levels and values together, version 2 the values alone. */
function partsOf(body: Buffer, header: PageHeader, { codec, maxLevel, rows }: ColumnChunk): Parts {
  const { data_page_header: first, data_page_header_v2: second, uncompressed_page_size: size } = header;
  const count = (second ?? first)?.num_values;
  if (count === undefined || count > Math.min(rows, MOST_VALUES)) throw broken(`${count} of ${rows} rows`);
  if (second) {
    const length = second.definition_levels_byte_length;
    const levels = new PageReader(new PageReader(body).take(length));
    const stored = body.subarray(length);
    const values = second.is_compressed === false ? stored : decompress(codec, stored, size - length);
    const { encoding } = second;
    return { count, encoding, levels: maxLevel > 0 ? levels : undefined, values: new PageReader(values) };
  }
  const values = new PageReader(decompress(codec, body, size));
  const levels = maxLevel > 0 ? new PageReader(values.take(values.uint32())) : undefined;
  return { count, encoding: first!.encoding, levels, values };
}

function readValues(
  reader: PageReader,
  encoding: string,
  count: number,
  dictionary: readonly Buffer[] | undefined,
): Buffer[] {
  if (encoding === 'PLAIN') return plainTexts(reader, count);
  if (encoding === 'DELTA_LENGTH_BYTE_ARRAY') return deltaLengthTexts(reader, count);
  if (encoding === 'DELTA_BYTE_ARRAY') return deltaTexts(reader, count);
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
