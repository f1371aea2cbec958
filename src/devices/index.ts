import type { Device } from './device.js';
import { WasmDevice } from './wasm/device.js';
import { WebGpuDevice } from './webgpu/device.js';

export type DeviceName = 'wasm' | 'webgpu';

export interface DeviceOptions {
  /** Compute threads of the wasm device (default: all cores). */
  readonly threads?: number;
  /** Whether the webgpu device may run on software Vulkan (default: only if RIVULET_SOFTWARE_GPU is 1). */
  readonly allowSoftware?: boolean;
}

/** Opens a device of its own. Throws an InputError where this machine has no such device. */
export async function openDevice(name: DeviceName, options: DeviceOptions = {}): Promise<Device> {
  return name === 'wasm' ? WasmDevice.start(options.threads) : WebGpuDevice.start(options);
}
