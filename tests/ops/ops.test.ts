import { suite } from 'uvu';
import type { Device } from '#src/devices/device.js';
import { openDevice } from '#src/devices/index.js';
import { lowerings } from '#src/devices/webgpu/lowering/index.js';
import type { OpCase } from './cases.js';
import { expectSameBits, prepare, runCase } from './harness.js';
import { cases } from './index.js';

/** What a device does not implement yet is skipped there. */
const onWebgpu = ({ op }: OpCase) => op in lowerings;
const THREADS = [1, 2, 4];

const wasm = await Promise.all(THREADS.map((threads) => openDevice('wasm', { threads })));
const webgpu = await Promise.all(
  (['f32', 'f16'] as const).map(async (kernels) => {
    const device = await openDevice('webgpu', { allowSoftware: true, kernels }).catch((error: Error) => {
      // Where a driver must be there, its absence is a failure and no reason to skip.
      if (process.env.RIVULET_REQUIRE_WEBGPU === '1') throw error;
      return error;
    });
    return [kernels, device] as const;
  }),
);

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

for (const [kernels, device] of webgpu) {
  const webgpuTest = suite(`webgpu ${kernels}`);
  for (const opCase of cases) {
    const name = `${opCase.op} ${opCase.label}`;
    if (device instanceof Error || !onWebgpu(opCase)) webgpuTest.skip(name);
    else webgpuTest(name, () => runCase(device, prepare(opCase), kernels !== 'f32').then(() => undefined));
  }
  if (device instanceof Error) console.log(`webgpu ${kernels} is skipped: ${device.message}`);
  else webgpuTest.after(() => closeAll([device]));
  webgpuTest.run();
}

async function closeAll(devices: readonly Device[]): Promise<void> {
  await Promise.all(devices.map((device) => device.close()));
}
