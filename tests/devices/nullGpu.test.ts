import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { temporaryFolder } from '../support.js';
import { makeEvery } from './nullGpu/makeEvery.js';
import { nullGpuSuite, runOnNullGpu } from './nullGpu/nullGpu.js';
import type { Replayed } from './nullGpu/replay.js';
import { mark, shaderStats } from './nullGpu/shaderStats.js';

/** A real driver's compiler: what it offers, what it makes of the kernels, and a crash of it. */

const { tests, test } = nullGpuSuite('null GPU');

const LORA = { family: 'qwen3', rank: 8 } as const;

test('matrix units: every variant at tiny and small is compiled without spills, and replayed', async () => {
  const steps = [{ ...LORA, shape: 'tiny' } as const, { ...LORA, shape: 'small' } as const];
  const { kind, matrices, used, replays } = await makeEvery('navi31', {
    kernels: 'auto',
    steps,
    variants: 'all',
  });
  assert.is(kind, 'matrix');
  assert.equal(matrices, { m: 16, n: 16, k: 16, subgroup: 32 });
  for (const file of ['linear_matrix', 'attention_matrix']) assert.ok(used.includes(file), file);
  assert.ok(replays > 0);
});

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

const parsing = suite("the driver's numbers");

const BLOCK = `Compute Shader:
*** SHADER STATS ***
Driver pipeline hash: 906579113446664259
SGPRs: 128
VGPRs: 24
Spilled SGPRs: 1
Spilled VGPRs: 2
LDS size: 1024
Scratch size: 512
Subgroups per SIMD: 16
Inverse Throughput: 6
********************
`;

parsing('are read with the name of what was being made', () => {
  const [first, second, third] = shaderStats(`noise\n${BLOCK}\n${mark('add f16')}\n${BLOCK}\n${BLOCK}`);
  assert.is(first!.name, 'nothing');
  assert.equal(second, {
    ...{ name: 'add f16', vgprs: 24, spilledVgprs: 2, spilledSgprs: 1, scratch: 512, lds: 1024 },
    ...{ occupancy: 16, inverseThroughput: 6 },
  });
  assert.equal(third, second);
});

parsing('that another Mesa calls differently are missed', () => {
  assert.throws(() => shaderStats(BLOCK.replace('Scratch size', 'Scratch')), /Expected "Scratch size"/);
});

parsing.run();
