import { execFile } from 'node:child_process';
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { projectRoot, temporaryFolder } from '../../support.js';

const [DOCUMENTS, TOKENS] = [50_000, 3000];
/** A shard is in memory while it is written, masks included. */
const MOST_MIB = 280;

test('memory does not grow with the size of the shards: 300 MB are written and read', async () => {
  const folder = join(temporaryFolder('large-shards'), 'shards');
  const script = join(projectRoot, 'build/tests/data/shards/writeAndRead.js');
  const { stdout } = await promisify(execFile)(process.execPath, [
    script,
    folder,
    `${DOCUMENTS}`,
    `${TOKENS}`,
  ]);
  const files = readdirSync(folder).length;
  rmSync(folder, { recursive: true });
  assert.is(files, 5);
  const { pairs, mibResident } = JSON.parse(stdout) as Record<string, number>;
  assert.ok(pairs! >= DOCUMENTS * (TOKENS - 1));
  assert.ok(mibResident! < MOST_MIB, `${mibResident} MiB`);
});

test.run();
