import { suite } from 'uvu';
import type { Device } from '#src/devices/device.js';
import { hostDevices, joinDevice } from '#src/devices/host.js';
import { openDevice } from '#src/devices/openDevice.js';
import type { DeviceKind } from './contract/support.js';
import { addContract } from './contract.js';
import { gpuSuite, openChanged } from './gpuDevice.js';
import { recordWorkers } from './recordWorkers.js';

/** The contract of devices, on each of them, owned and joined. */

const THREADS = 2;
/** Calls of 256 x 256 x 256: what pools do in a few turns, and GPUs, also of software, in a moment. */
const [WASM_CALLS, WEBGPU_CALLS] = [96, 12];

/** A device that actors share, as one of them sees it; closing it closes the host's, too. */
async function joined(name: 'wasm' | 'webgpu'): Promise<Device> {
  const hosts = await hostDevices({ device: name }, { threads: THREADS, allowSoftware: true });
  const device = joinDevice(hosts.student.connect());
  const close = async () => {
    await device.close();
    await hosts.close();
  };
  return Object.assign(Object.create(device) as Device, bound(device), { close });
}

/** Methods that reach the private fields of `device`. */
const bound = (device: Device) => ({
  compile: device.compile.bind(device),
  attach: device.attach.bind(device),
  plan: device.plan.bind(device),
});

/** A device of compute threads, one of which can be killed. */
const mortal = (open: () => Promise<Device>, thread: number) => async () => {
  const { result: device, workers } = await recordWorkers(open);
  return { device, kill: () => workers[thread]!.terminate() };
};

const openWasm = () => openDevice('wasm', { threads: THREADS });
const joinWasm = () => joined('wasm');

const wasmKinds: Readonly<Record<string, DeviceKind>> = {
  wasm: {
    ...{ device: 'wasm', calls: WASM_CALLS, open: openWasm },
    deaths: { 'the first thread': mortal(openWasm, 0), 'another thread': mortal(openWasm, 1) },
  },
  'wasm, joined': {
    ...{ device: 'wasm', calls: WASM_CALLS, open: joinWasm },
    deaths: { 'the first thread': mortal(joinWasm, 0) },
  },
};

for (const [name, kind] of Object.entries(wasmKinds)) {
  const tests = suite(name);
  addContract(tests, tests, kind);
  tests.run();
}

const webgpuKinds: Readonly<Record<string, DeviceKind>> = {
  webgpu: {
    ...{ device: 'webgpu', calls: WEBGPU_CALLS },
    open: () => openDevice('webgpu', { allowSoftware: true }),
    deaths: {
      async 'the GPU'() {
        const device = await openChanged({});
        return { device, kill: () => device.gpu.device.destroy() };
      },
    },
  },
  'webgpu, joined': { device: 'webgpu', calls: WEBGPU_CALLS, open: () => joined('webgpu'), deaths: {} },
};

for (const [name, kind] of Object.entries(webgpuKinds)) {
  const { tests, test } = gpuSuite(name);
  addContract(tests, test, kind);
  tests.run();
}
