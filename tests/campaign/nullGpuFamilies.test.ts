import { families } from '#src/model/families.js';
import { makeEvery } from '../devices/nullGpu/makeEvery.js';
import { nullGpuSuite } from '../devices/nullGpu/nullGpu.js';

/** A real driver's compiler makes the kernels of all families and ranks. */

const { tests, test } = nullGpuSuite('null GPU, all families');

const RANKS = [8, 16, 32, 64, 128];

for (const family of families.keys()) {
  test(`every variant for ${family}, ranks ${RANKS.join(', ')}`, async () => {
    const adapters = RANKS.map((rank) => ({ family, shape: 'llama', rank }) as const);
    const others = (['tiny', 'small'] as const).map((shape) => ({ family, shape, rank: 8 }));
    await makeEvery('navi31', { kernels: 'auto', steps: [...adapters, ...others], variants: 'all' });
  });
}

tests.run();
