import { suite } from 'uvu';
import { openDevice } from '#src/devices/openDevice.js';
import { expectSameBits, prepare, runCase } from './harness.js';
import { cases } from './index.js';

const THREADS = [1, 2, 4];

const devices = await Promise.all(THREADS.map((threads) => openDevice('wasm', { threads })));
const tests = suite('wasm');
for (const opCase of cases) {
  tests(`${opCase.op} ${opCase.label}`, async () => {
    const prepared = prepare(opCase);
    const [one, ...more] = devices;
    const bits = await runCase(one!, prepared);
    for (const device of more) {
      expectSameBits(prepared, await runCase(device, prepared), bits, `with ${device.info.description}`);
    }
  });
}
tests.after(async () => {
  await Promise.all(devices.map((device) => device.close()));
});
tests.run();
