import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { temporaryFolder } from '../../support.js';
import { readApart, writeParquet, writeZstd } from './large.js';

/** tests/campaign/documents.test.ts does the same with 2 GB. */
const BYTES = 100e6;
const MOST_MIB = 250;

for (const [name, write] of [
  ['a.jsonl.zst', (path: string) => writeZstd(path, BYTES)],
  ['a.parquet', (path: string) => writeParquet(path, BYTES, BYTES / 2)],
] as const) {
  test(`memory does not grow with the size of ${name}`, async () => {
    const folder = temporaryFolder('large');
    const documents = await write(join(folder, name));
    const reading = await readApart(join(folder, name));
    rmSync(folder, { recursive: true });
    assert.is(reading.documents, documents);
    assert.ok(reading.characters > 0.9 * BYTES);
    assert.ok(reading.mibResident < MOST_MIB, `${reading.mibResident} MiB`);
  });
}

test.run();
