import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { temporaryFolder } from '../support.js';
import { makeEvery } from './nullGpu/makeEvery.js';
import { nullGpuSuite, runOnNullGpu } from './nullGpu/nullGpu.js';
import type { Replayed } from './nullGpu/replay.js';

/** Kernels that use no matrix units on a real driver: by its features, on request, and after a crash of its compiler. */

const { tests, test } = nullGpuSuite('null GPU, other kinds of kernels');

const LORA = { family: 'qwen3', rank: 8 } as const;

test('the other kinds of kernels on request, and where there are no matrix units', async () => {
  const steps = [{ ...LORA, shape: 'tiny' } as const];
  const cases = [
    ['navi31', 'f32', 'f32'],
    ['navi21', 'auto', 'f16'],
    ['raven', 'auto', 'f16'],
  ] as const;
  for (const [family, kernels, expected] of cases) {
    const { kind, used } = await makeEvery(family, { kernels, steps, variants: 'default' });
    assert.is(kind, expected, `${family}, ${kernels}`);
    assert.not(used.some((file) => file.endsWith('_matrix')));
  }
});

test("a driver's compiler that crashes of matrices takes nothing else down, and is not asked again", async () => {
  const cache = temporaryFolder('null-gpu-crash');
  const env = { NULL_GPU_CRASHES: '1', RIVULET_CACHE: cache, RADV_DEBUG: '' };
  const step = JSON.stringify({ ...LORA, shape: 'tiny' });
  const [first, second] = [
    await runOnNullGpu('navi31', 'replay', [step], env),
    await runOnNullGpu('navi31', 'replay', [step], env),
  ];
  for (const { code, stdout, stderr } of [first, second]) {
    assert.is(code, 0, stderr);
    const { chosen } = JSON.parse(stdout) as Replayed;
    assert.ok(chosen.length > 0 && chosen.every((name) => name.startsWith('generic')), chosen.join());
    assert.is(stderr.match(/kernels on subgroup matrices are left out/g)?.length, 1, stderr);
    assert.match(stderr, 'crashed (SIGABRT)');
  }
  const [file] = readdirSync(join(cache, 'trials'));
  const verdicts = Object.values(JSON.parse(readFileSync(join(cache, 'trials', file!), 'utf8')));
  assert.not(verdicts.includes('made'));
});

tests.run();
