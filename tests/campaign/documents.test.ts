import { rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readApart, writeParquet, writeZstd } from '../data/documents/large.js';
import { temporaryFolder } from '../support.js';

const BYTES = 2e9;
const GROUP_BYTES = 300e6;
const MOST_MIB = 400;

for (const [name, write] of [
  ['large.jsonl.zst', (path: string) => writeZstd(path, BYTES)],
  ['large.parquet', (path: string) => writeParquet(path, BYTES, GROUP_BYTES)],
] as const) {
  test(`2 GB of ${name} in under ${MOST_MIB} MiB`, async () => {
    const folder = temporaryFolder('large');
    try {
      const path = join(folder, name);
      const documents = await write(path);
      assert.ok(statSync(path).size > BYTES);
      const { mibResident, seconds, ...reading } = await readApart(path);
      console.log(`${name}: ${mibResident.toFixed(0)} MiB resident, ${seconds.toFixed(1)} s`);
      assert.is(reading.documents, documents);
      assert.ok(mibResident < MOST_MIB, `${mibResident} MiB`);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
}

test.run();
