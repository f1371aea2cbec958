import type { Device } from '#src/devices/device.js';
import { openDevice } from '#src/devices/openDevice.js';
import type { KernelKind } from '#src/devices/webgpu/target.js';
import { gpuSuite, noGpu } from '../devices/gpuDevice.js';
import { prepare, runCase } from './harness.js';
import { cases } from './index.js';

/** Every case on the GPU with one kind of kernels. */
export function opsOn(kernels: KernelKind) {
  const { tests, test } = gpuSuite(`webgpu ${kernels}`);
  let device: Device;
  tests.before(async () => {
    if (!noGpu) device = await openDevice('webgpu', { allowSoftware: true, kernels });
  });
  for (const opCase of cases) {
    test(`${opCase.op} ${opCase.label}`, async () => {
      await runCase(device, prepare(opCase), kernels !== 'f32');
    });
  }
  tests.after(() => device?.close());
  return tests;
}
