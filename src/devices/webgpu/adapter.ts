import { InputError } from '../../base/errors.js';

/** Set to 1 to let the webgpu device run on an adapter that is a program, such as llvmpipe. */
const ALLOW_SOFTWARE = 'RIVULET_SOFTWARE_GPU';

/** f16 is hidden on every NVIDIA Vulkan GPU without the second feature (crbug.com/42251215). */
const DAWN_OPTIONS = [
  'enable-dawn-features=allow_unsafe_apis,vulkan_enable_f16_on_nvidia',
  'disable-dawn-features=timestamp_quantization',
];

/**
 * Dawn's instances and adapters of this thread. They live as long as the thread: when they are collected before a
 * device of theirs, the process dies.
 */
const KEPT = Symbol.for('rivulet.webgpu');
const kept = globalThis as { [KEPT]?: (GPU | GPUAdapter)[] };
kept[KEPT] ??= [];

export interface AdapterOptions {
  /** A part of its name, or its place in the list of all adapters, from 0 on; default: the first that is hardware. */
  readonly adapter?: string;
  /** Of several processes on this machine: where no adapter is named, each takes its own GPU, in turn. */
  readonly localRank?: number | undefined;
  /** Accept an adapter that is a program (default: only if RIVULET_SOFTWARE_GPU is 1). */
  readonly allowSoftware?: boolean;
}

/** An adapter of this machine. Throws an InputError that says what was found where there is none that may be used. */
export async function findAdapter(options: AdapterOptions = {}): Promise<GPUAdapter> {
  const names = await adapterNames();
  if (names.length === 0) {
    throw new InputError(
      'Expected a GPU that Vulkan, Metal or D3D12 knows for the webgpu device, found none: ' +
        'install its driver, or use --device wasm',
    );
  }
  const adapter = await request(chooseName(names, options.adapter ?? adapterOf(names, options.localRank)));
  const allowed = options.allowSoftware ?? process.env[ALLOW_SOFTWARE] === '1';
  if (!allowed && isSoftware(adapter.info)) {
    throw new InputError(
      `Expected a GPU for the webgpu device, found only ${describeAdapter(adapter.info)}, which is software: ` +
        `use --device wasm, or set ${ALLOW_SOFTWARE}=1 to run on it all the same`,
    );
  }
  return adapter;
}

/**
 * Dawn takes the first adapter whose name has the given one in it, so of several with one name just the first can be
 * reached: another one is refused, so that nobody gets a GPU that was not asked for.
 */
export function chooseName(names: readonly string[], wanted: string | undefined): string {
  if (wanted === undefined) return names.find((name) => !SOFTWARE.test(name)) ?? names[0]!;
  const name = /^\d+$/.test(wanted) ? names[Number(wanted)] : names.find((name) => name.includes(wanted));
  const list = names.map((name, i) => `${i} ${name}`).join(', ');
  if (name === undefined) {
    throw new InputError(`--device webgpu:${wanted}: expected one of the GPUs ${list}, found none like it`);
  }
  const reached = names.findIndex((other) => other.includes(name));
  if (/^\d+$/.test(wanted) && reached !== Number(wanted)) {
    throw new InputError(
      `--device webgpu:${wanted}: expected a name that no GPU before it has, found the GPUs ${list}, ` +
        `of which only the first of a name can be used: use webgpu:${reached}, or let each process see one GPU alone`,
    );
  }
  return name;
}

/** The place of a local rank's GPU in the list; undefined for the only rank, and where there is no hardware. */
export function adapterOf(names: readonly string[], localRank: number | undefined): string | undefined {
  const hardware = names.flatMap((name, i) => (SOFTWARE.test(name) ? [] : [i]));
  if (localRank === undefined || hardware.length === 0) return undefined;
  return String(hardware[localRank % hardware.length]);
}

/** Dawn lists its adapters when it is asked for one that does not exist. */
async function adapterNames(): Promise<string[]> {
  const gpu = await dawn('\n');
  try {
    await gpu.requestAdapter();
    return [];
  } catch (error) {
    return [...String(error).matchAll(/name: '(.*)'$/gm)].map(([, name]) => name!);
  }
}

async function request(name: string): Promise<GPUAdapter> {
  const gpu = await dawn(name);
  const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' });
  if (!adapter)
    throw new InputError(`Expected the GPU ${name} to answer, found that it does not: use --device wasm`);
  kept[KEPT]!.push(adapter);
  return adapter;
}

async function dawn(adapter: string): Promise<GPU> {
  try {
    const { create } = await import('webgpu');
    const gpu = create([...DAWN_OPTIONS, `adapter=${adapter}`]);
    kept[KEPT]!.push(gpu);
    return gpu;
  } catch (error) {
    const cause = error instanceof Error ? error.message : String(error);
    throw new InputError(`Expected the webgpu package to load, found ${oneLine(cause)}: use --device wasm`);
  }
}

const SOFTWARE = /llvmpipe|swiftshader|basic render/i;

export const isSoftware = ({ isFallbackAdapter, architecture, description }: GPUAdapterInfo): boolean =>
  isFallbackAdapter || architecture === 'software' || SOFTWARE.test(description);

/** Vendor, architecture and the driver's own words. */
export const describeAdapter = ({ vendor, architecture, device, description }: GPUAdapterInfo): string =>
  `${[vendor, architecture].filter(Boolean).join(' ')} (${description || device})`;

export const oneLine = (text: string): string => text.replace(/\s+/g, ' ').trim();
