import { chooseDevice } from './choose.js';
import type { Device } from './device.js';
import type { DeviceOptions } from './host.js';
import { WasmDevice } from './wasm/device.js';
import { WebGpuDevice } from './webgpu/device.js';

/** Opens a device of its own, as `--device` names it. Throws an InputError where this machine has no such device. */
export async function openDevice(
  device: string,
  { threads, ...options }: DeviceOptions = {},
): Promise<Device> {
  const { name, adapter } = await chooseDevice(device);
  if (name === 'wasm') return WasmDevice.start(threads);
  return WebGpuDevice.start({ ...options, ...(adapter === undefined ? {} : { adapter }) });
}
