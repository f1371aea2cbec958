import { InputError } from '../../errors.js';
import type { FloatType, Target } from './lowering/lowering.js';

/** Set to 1 to let the webgpu device run on an adapter that is a program, such as llvmpipe. */
const ALLOW_SOFTWARE = 'RIVULET_SOFTWARE_GPU';

/** f16 is hidden on every NVIDIA Vulkan GPU without the second feature (crbug.com/42251215). */
const DAWN_OPTIONS = [
  'enable-dawn-features=allow_unsafe_apis,vulkan_enable_f16_on_nvidia',
  'disable-dawn-features=timestamp_quantization',
];

/**
 * Dawn's instance and adapters of this thread. They live as long as the thread: when they are collected before a
 * device of theirs, the process dies.
 */
interface Kept {
  readonly gpu: GPU;
  readonly adapters: GPUAdapter[];
}
const KEPT = Symbol.for('rivulet.webgpu');
const kept = globalThis as { [KEPT]?: Promise<Kept> };

export interface AdapterOptions {
  /** Accept an adapter that is a program (default: only if RIVULET_SOFTWARE_GPU is 1). */
  readonly allowSoftware?: boolean;
}

/** The best adapter of this machine. Throws an InputError that says what was found where there is no GPU. */
export async function findAdapter(options: AdapterOptions = {}): Promise<GPUAdapter> {
  kept[KEPT] ??= loadDawn();
  const { gpu, adapters } = await kept[KEPT];
  const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' });
  if (!adapter) {
    throw new InputError(
      'Expected a GPU that Vulkan, Metal or D3D12 knows for the webgpu device, found none: ' +
        'install its driver, or use --device wasm',
    );
  }
  adapters.push(adapter);
  const allowed = options.allowSoftware ?? process.env[ALLOW_SOFTWARE] === '1';
  if (!allowed && isSoftware(adapter.info)) {
    throw new InputError(
      `Expected a GPU for the webgpu device, found only ${describeAdapter(adapter.info)}, which is software: ` +
        `use --device wasm, or set ${ALLOW_SOFTWARE}=1 to run on it all the same`,
    );
  }
  return adapter;
}

async function loadDawn(): Promise<Kept> {
  try {
    const { create } = await import('webgpu');
    return { gpu: create(DAWN_OPTIONS), adapters: [] };
  } catch (error) {
    const cause = error instanceof Error ? error.message : String(error);
    throw new InputError(`Expected the webgpu package to load, found ${oneLine(cause)}: use --device wasm`);
  }
}

export const isSoftware = ({ isFallbackAdapter, architecture, description }: GPUAdapterInfo): boolean =>
  isFallbackAdapter || architecture === 'software' || /llvmpipe|swiftshader|basic render/i.test(description);

/** Vendor, architecture and the driver's own words. */
export const describeAdapter = ({ vendor, architecture, device, description }: GPUAdapterInfo): string =>
  `${[vendor, architecture].filter(Boolean).join(' ')} (${description || device})`;

export const targetOf = ({ limits }: GPUAdapter, precision: FloatType = 'f32'): Target => ({
  bufferBytes: limits.maxBufferSize,
  bindingBytes: limits.maxStorageBufferBindingSize,
  groups: limits.maxComputeWorkgroupsPerDimension,
  precision,
});

export const oneLine = (text: string): string => text.replace(/\s+/g, ' ').trim();
