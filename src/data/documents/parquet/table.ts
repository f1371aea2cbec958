import { parquetReadObjects } from 'hyparquet';
import { Problem } from '../problems.js';
import { spooled } from '../spool.js';
import type { Opened } from '../text.js';
import { broken } from './encodings.js';
import { readMetadata } from './metadata.js';
import { DECOMPRESSORS } from './pages.js';

/**
 * All rows of a Parquet file as objects, with columns of every type: whole numbers of 64 bits are numbers.
 * @throws Problem when it is damaged, or a whole number is too large
 */
export async function readParquetRecords(file: Opened): Promise<unknown[]> {
  const spool = file.compression === 'none' ? undefined : await spooled(file);
  try {
    const chunks = spool?.chunks ?? file.chunks;
    const metadata = await readMetadata(chunks);
    const { file: bytes } = chunks;
    const buffer = {
      byteLength: bytes.size,
      slice: async (start: number, end = bytes.size) =>
        Uint8Array.from(await bytes.read(start, end - start)).buffer,
    };
    const rows = await parquetReadObjects({
      file: buffer,
      metadata,
      compressors: DECOMPRESSORS,
      geoparquet: false,
    });
    return rows.map(plain);
  } catch (error) {
    throw isForeign(error) ? broken(`bytes that are none (${(error as Error).message})`) : error;
  } finally {
    await spool?.remove();
  }
}

/** What the parser throws of damaged bytes; our own errors say more. */
const isForeign = (error: unknown): boolean =>
  !(error instanceof Problem) && !(error instanceof Error && /^(Input|Run)Error$/.test(error.name));

function plain(value: unknown): unknown {
  if (typeof value === 'bigint') {
    const number = Number(value);
    if (Number.isSafeInteger(number)) return number;
    throw new Problem(`expected whole numbers below 2^53, found ${value}; write it as a text`, {
      endsFile: true,
    });
  }
  if (Array.isArray(value)) return value.map(plain);
  if (ArrayBuffer.isView(value)) return Array.from(value as unknown as Iterable<unknown>, plain);
  if (typeof value !== 'object' || value === null || value instanceof Date) return value;
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, plain(field)]));
}
