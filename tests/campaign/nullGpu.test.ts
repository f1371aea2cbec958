import { makeEvery } from '../devices/nullGpu/makeEvery.js';
import { nullGpuSuite } from '../devices/nullGpu/nullGpu.js';

/** A real driver's compiler makes the kernels of all shapes, sizes of heads, kinds and generations of GPUs. */

const { tests, test } = nullGpuSuite('null GPU, all shapes');

const SHAPES = ['tiny', 'small', 'llama'] as const;
const HEADS = [32, 48, 64, 80, 96, 128, 256];

for (const shape of SHAPES) {
  test(`all weights trained, ${shape}`, async () => {
    await makeEvery('navi31', {
      kernels: 'auto',
      steps: [{ family: 'qwen3', shape, rank: 8, full: true }],
      variants: 'all',
    });
  });
}

for (const [gpu, kernels] of [
  ['navi31', 'f32'],
  ['navi31', 'f16'],
  ['navi21', 'auto'],
  ['raven', 'auto'],
  ['raven', 'f32'],
] as const) {
  test(`${gpu}, ${kernels}: every variant`, async () => {
    await makeEvery(gpu, {
      kernels,
      steps: SHAPES.map((shape) => ({ family: 'qwen3', shape, rank: 8 })),
      variants: 'all',
    });
  });
}

for (const kernels of ['auto', 'f16'] as const) {
  test(`heads of ${HEADS.join(', ')}, ${kernels}`, async () => {
    await makeEvery('navi31', {
      kernels,
      steps: HEADS.map((headDim) => ({ family: 'llama', shape: 'tiny', rank: 8, headDim }) as const),
      variants: 'default',
    });
  });
}

tests.run();
