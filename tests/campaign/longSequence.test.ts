import type { Device } from '#src/devices/device.js';
import { openDevice } from '#src/devices/openDevice.js';
import { gpuSuite } from '../devices/gpuDevice.js';
import { longCases } from '../ops/attention.js';
import { prepare, runCase } from '../ops/harness.js';

const { tests, test: onGpu } = gpuSuite('attention over 8,192 tokens');

for (const opCase of longCases) {
  const check = async (open: () => Promise<Device>, halves = false) => {
    const device = await open();
    await runCase(device, prepare(opCase), halves);
    await device.close();
  };
  tests(`${opCase.op} on wasm`, () => check(() => openDevice('wasm', { threads: 2 })));
  for (const kernels of ['f32', 'f16'] as const) {
    onGpu(`${opCase.op} on webgpu, ${kernels}`, () =>
      check(() => openDevice('webgpu', { allowSoftware: true, kernels }), kernels !== 'f32'),
    );
  }
}

tests.run();
