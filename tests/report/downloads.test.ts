import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { downloadLine } from '#src/report/downloads.js';

const MIB = 2 ** 20;
const record = { type: 'download', model: 'a/b', file: 'model.safetensors' } as const;

test('a download: what has come of what is wanted', () => {
  const half = { ...record, bytes: 1200 * MIB, total_bytes: 2400 * MIB };
  assert.is(downloadLine(half), 'fetching a/b  1,200 MiB of 2,400 MiB  50 %  model.safetensors');
  assert.match(downloadLine({ ...record, bytes: 99.9 * MIB, total_bytes: 100 * MIB }), ' 99 % ');
  assert.match(downloadLine({ ...record, bytes: 0, total_bytes: 0 }), ' 100 % ');
});

test.run();
