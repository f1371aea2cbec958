import { readFileSync } from 'node:fs';
import { oneLine } from './adapter.js';
import type { Dispatch } from './lowering/lowering.js';

/** The compute pipelines of a GPU device, made once for each kernel and set of constants. */
export class Pipelines {
  readonly #device: GPUDevice;
  readonly #modules = new Map<string, Promise<GPUShaderModule>>();
  readonly #pipelines = new Map<string, Promise<GPUComputePipeline>>();

  constructor(device: GPUDevice) {
    this.#device = device;
  }

  get({ file, entry, constants }: Dispatch): Promise<GPUComputePipeline> {
    return cached(this.#pipelines, `${entry} ${JSON.stringify(constants)}`, async () => {
      const module = await cached(this.#modules, file, () => this.#compile(file));
      const compute = { module, entryPoint: entry, constants };
      const pipeline = this.#device.createComputePipelineAsync({ label: entry, layout: 'auto', compute });
      return pipeline.catch((error: Error) => doesNotCompile(file, error));
    });
  }

  async #compile(file: string): Promise<GPUShaderModule> {
    const code = readFileSync(new URL(`../../kernels/${file}.wgsl`, import.meta.url), 'utf8');
    this.#device.pushErrorScope('validation');
    const module = this.#device.createShaderModule({ label: file, code });
    const error = await this.#device.popErrorScope();
    if (error) doesNotCompile(file, error);
    return module;
  }
}

function doesNotCompile(file: string, { message }: { message: string }): never {
  throw new Error(`kernels/${file}.wgsl does not compile: ${oneLine(message)}`);
}

function cached<T>(cache: Map<string, Promise<T>>, key: string, make: () => Promise<T>): Promise<T> {
  const known = cache.get(key) ?? make();
  cache.set(key, known);
  return known;
}
