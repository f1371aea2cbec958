import { suite } from 'uvu';
import type { Device } from '#src/devices/device.js';
import { openDevice } from '#src/devices/index.js';
import type { OpCase } from './cases.js';
import { expectSameBits, prepare, runCase } from './harness.js';
import { cases } from './index.js';

/** What a device does not implement yet is skipped there. */
const WEBGPU_OPS = new Set(['linear', 'linear_dx', 'linear_dw', 'rmsnorm', 'rmsnorm_dx', 'joint_loss_head']);
const onWebgpu = ({ op, label }: OpCase) => WEBGPU_OPS.has(op) && !label.includes('trained head');
const THREADS = [1, 2, 4];

const wasm = await Promise.all(THREADS.map((threads) => openDevice('wasm', { threads })));
const webgpu = await openDevice('webgpu', { allowSoftware: true }).catch((error: Error) => {
  // Where a driver must be there, its absence is a failure and no reason to skip.
  if (process.env.RIVULET_REQUIRE_WEBGPU === '1') throw error;
  return error;
});

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

const webgpuTest = suite('webgpu');
for (const opCase of cases) {
  const name = `${opCase.op} ${opCase.label}`;
  if (webgpu instanceof Error || !onWebgpu(opCase)) webgpuTest.skip(name);
  else webgpuTest(name, () => runCase(webgpu, prepare(opCase)).then(() => undefined));
}
if (webgpu instanceof Error) console.log(`webgpu is skipped: ${webgpu.message}`);
else webgpuTest.after(() => closeAll([webgpu]));
webgpuTest.run();

async function closeAll(devices: readonly Device[]): Promise<void> {
  await Promise.all(devices.map((device) => device.close()));
}
