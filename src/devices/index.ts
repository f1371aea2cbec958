import type { MessagePort } from 'node:worker_threads';
import type { Device } from './device.js';
import { WasmDevice } from './wasm/device.js';

export type DeviceName = 'wasm' | 'webgpu';

/** How an actor reaches the device its run shares: structured-cloneable, ports inside must be transferred. */
export interface DeviceConnection {
  readonly name: DeviceName;
  readonly threads: number;
  readonly port?: MessagePort;
}

/** Opens a device of its own. @param options.threads compute threads of the wasm device (default: all cores). */
export async function openDevice(name: DeviceName, options: { threads?: number } = {}): Promise<Device> {
  if (name === 'wasm') return WasmDevice.start(options.threads);
  throw new Error(`Expected the device wasm, found ${name}`);
}
