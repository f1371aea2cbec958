import { existsSync, readdirSync } from 'node:fs';
import { InputError } from '../base/errors.js';
import { findAdapter } from './webgpu/adapter.js';

/** `--device`, resolved. */
export interface Choice {
  readonly name: 'wasm' | 'webgpu';
  /** Which GPU, where one was named: a part of its name or its place in the list. */
  readonly adapter?: string;
  /** Why `auto` ended up here. */
  readonly note?: string;
}

/** `wasm`, `webgpu`, `webgpu:WHICH`, or `auto`: a GPU where there is one that is hardware, else the CPU. */
export async function chooseDevice(device: string): Promise<Choice> {
  if (device === 'wasm') return { name: 'wasm' };
  if (device !== 'auto') {
    const adapter = device.slice('webgpu:'.length);
    return { name: 'webgpu', ...(adapter === '' ? {} : { adapter }) };
  }
  const note = 'no GPU found';
  if (!mayHaveGpu()) return { name: 'wasm', note };
  try {
    await findAdapter({ allowSoftware: false });
    return { name: 'webgpu' };
  } catch (error) {
    if (error instanceof InputError) return { name: 'wasm', note };
    throw error;
  }
}

/** On Linux every driver of a real GPU has one of these nodes; without them, loading Vulkan is not worth the time. */
function mayHaveGpu(): boolean {
  if (process.platform !== 'linux') return true;
  const inDri = existsSync('/dev/dri') ? readdirSync('/dev/dri') : [];
  return ['/dev/nvidiactl', '/dev/dxg'].some(existsSync) || inDri.some((name) => name.startsWith('renderD'));
}
