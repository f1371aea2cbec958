import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { makeEvery } from './nullGpu/makeEvery.js';
import { nullGpuSuite } from './nullGpu/nullGpu.js';
import { mark, shaderStats } from './nullGpu/shaderStats.js';

/** What a real driver's compiler makes of the kernels for matrix units. */

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
