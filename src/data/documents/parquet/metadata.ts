import { type FileMetaData, parquetMetadata } from 'hyparquet';
import type { Chunks } from '../bytes.js';
import { Problem } from '../problems.js';
import { broken } from './encodings.js';
import { understood } from './pages.js';
import { checkThrift } from './thrift.js';

const MAGIC = 'PAR1';
const TAIL_BYTES = 8;

/** What is at the end of a Parquet file. @throws Problem when it is cut off or damaged */
export async function readMetadata({ file }: Chunks): Promise<FileMetaData> {
  const tail = await file.read(Math.max(0, file.size - TAIL_BYTES), TAIL_BYTES);
  const length = tail.length < TAIL_BYTES ? -1 : tail.readUInt32LE();
  if (tail.toString('latin1', 4) !== MAGIC) {
    const found = tail.toString('latin1', 4) === 'PARE' ? 'an encrypted one' : 'other bytes';
    throw new Problem(
      `expected a Parquet file with ${MAGIC} at its end, found ${found}; is the file cut off? fetch it again`,
      { endsFile: true },
    );
  }
  if (length > file.size - TAIL_BYTES - MAGIC.length) throw broken('metadata larger than the file');
  const footer = await file.read(file.size - TAIL_BYTES - length, length + TAIL_BYTES);
  checkThrift(footer.subarray(0, length));
  return understood(() => parquetMetadata(footer, { geoparquet: false }));
}
