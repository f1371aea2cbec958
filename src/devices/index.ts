import type { Device } from './device.js';
import { WasmDevice } from './wasm/device.js';
import { WebGpuDevice, type WebGpuOptions } from './webgpu/device.js';

export type DeviceName = 'wasm' | 'webgpu';

export interface DeviceOptions extends WebGpuOptions {
  /** Compute threads of the wasm device (default: all cores). */
  readonly threads?: number;
}

/** Opens a device of its own. Throws an InputError where this machine has no such device. */
export async function openDevice(name: DeviceName, options: DeviceOptions = {}): Promise<Device> {
  return name === 'wasm' ? WasmDevice.start(options.threads) : WebGpuDevice.start(options);
}
