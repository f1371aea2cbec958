import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readMiniatureResults } from '#src/prepare/miniature.js';
import type { MetricsRecord } from '#src/records.js';
import { flags, runProgram } from '../run/process.js';

test('the whole quickstart on webgpu reaches the stored held-out loss within 1 %', async () => {
  const cwd = mkdtempSync(join(tmpdir(), 'rivulet-quickstart-'));
  const env = { RIVULET_SOFTWARE_GPU: '1', XDG_RUNTIME_DIR: '/tmp' };
  const { code, stderr } = await runProgram('train', flags({ device: 'webgpu', out: 'run' }), { cwd, env });
  assert.is(code, 0, stderr);
  const lines = readFileSync(join(cwd, 'run', 'metrics.jsonl'), 'utf8')
    .trim()
    .split('\n');
  const evaluations = lines
    .map((line) => JSON.parse(line) as MetricsRecord)
    .filter((record) => record.type === 'eval');
  const [found, stored] = [evaluations.at(-1)!.nll, readMiniatureResults().cptKd.mean];
  console.log(`held-out loss on webgpu ${found.toFixed(4)}, stored ${stored.toFixed(4)}`);
  assert.ok(Math.abs(found / stored - 1) < 0.01, `held-out loss ${found}, stored ${stored}`);
});

test.run();
