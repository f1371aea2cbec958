import { readFileSync } from 'node:fs';
import { oneLine } from './adapter.js';
import type { Dispatch, FloatType } from './lowering/lowering.js';

export type Kernel = Pick<Dispatch, 'file' | 'entry' | 'types' | 'constants'>;

/** The compute pipelines of a GPU device, made once for each kernel and set of constants. */
export class Pipelines {
  readonly #device: GPUDevice;
  readonly #modules = new Map<string, Promise<GPUShaderModule>>();
  readonly #pipelines = new Map<string, Promise<GPUComputePipeline>>();

  constructor(device: GPUDevice) {
    this.#device = device;
  }

  get({ file, entry, types, constants }: Kernel): Promise<GPUComputePipeline> {
    const variant = `${file} ${JSON.stringify(types)}`;
    return cached(this.#pipelines, `${variant} ${entry} ${JSON.stringify(constants)}`, async () => {
      const module = await cached(this.#modules, variant, () => this.#compile(file, types));
      const compute = { module, entryPoint: entry, constants };
      const pipeline = this.#device.createComputePipelineAsync({ label: entry, layout: 'auto', compute });
      return pipeline.catch((error: Error) => doesNotCompile(file, error));
    });
  }

  async #compile(file: string, types: Dispatch['types']): Promise<GPUShaderModule> {
    const code = shaderCode(file, types);
    this.#device.pushErrorScope('validation');
    const module = this.#device.createShaderModule({ label: file, code });
    const error = await this.#device.popErrorScope();
    if (error) doesNotCompile(file, error);
    return module;
  }
}

/** Storage of a type that the file leaves open: an upper-case name. */
const OPEN_TYPES = /var<storage, \w+> \w+: array<([A-Z][A-Z0-9]*)>/g;

/** A kernel's text with the types it leaves open, f32 unless given. Only directives must come first in WGSL. */
export function shaderCode(file: string, types: Readonly<Record<string, FloatType>>): string {
  const text = readFileSync(new URL(`../../kernels/${file}.wgsl`, import.meta.url), 'utf8');
  const enable = Object.values(types).includes('f16') ? 'enable f16;' : '';
  const open = new Set([...text.matchAll(OPEN_TYPES)].map(([, name]) => name!));
  const aliases = [...open].map((name) => `alias ${name} = ${types[name] ?? 'f32'};`);
  return [enable + text, ...aliases, ''].join('\n');
}

function doesNotCompile(file: string, { message }: { message: string }): never {
  throw new Error(`kernels/${file}.wgsl does not compile: ${oneLine(message)}`);
}

function cached<T>(cache: Map<string, Promise<T>>, key: string, make: () => Promise<T>): Promise<T> {
  const known = cache.get(key) ?? make();
  cache.set(key, known);
  return known;
}
