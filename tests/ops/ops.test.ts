import { suite } from 'uvu';
import type { Device } from '#src/devices/device.js';
import { openDevice } from '#src/devices/openDevice.js';
import { gpuSuite, kernelKinds, noGpu } from '../devices/gpuDevice.js';
import { expectSameBits, prepare, runCase } from './harness.js';
import { cases } from './index.js';

const THREADS = [1, 2, 4];

const wasm = await Promise.all(THREADS.map((threads) => openDevice('wasm', { threads })));
const wasmTest = suite('wasm');
for (const opCase of cases) {
  wasmTest(`${opCase.op} ${opCase.label}`, async () => {
    const prepared = prepare(opCase);
    const [one, ...more] = wasm;
    const bits = await runCase(one!, prepared);
    for (const device of more) {
      expectSameBits(prepared, await runCase(device, prepared), bits, `with ${device.info.description}`);
    }
  });
}
wasmTest.after(() => closeAll(wasm));
wasmTest.run();

for (const kernels of kernelKinds) {
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
  tests.run();
}

async function closeAll(devices: readonly Device[]): Promise<void> {
  await Promise.all(devices.map((device) => device.close()));
}
