import { readFileSync } from 'node:fs';
import type { TellCompiling } from '../device.js';
import { oneLine } from './adapter.js';
import { type Dialect, translated } from './dialect.js';
import type { Dispatch } from './lowering/lowering.js';

export type Kernel = Pick<Dispatch, 'file' | 'entry' | 'types' | 'constants'>;

/** A shader's text in place of another. */
export type Rewrite = (code: string) => string;

/** The compute pipelines of a GPU device, made once for each kernel and set of constants. */
export class Pipelines {
  readonly #device: GPUDevice;
  readonly #dialect: Dialect;
  readonly #rewrite: Rewrite;
  readonly #modules = new Map<string, Promise<GPUShaderModule>>();
  readonly #pipelines = new Map<string, Promise<GPUComputePipeline>>();

  constructor(device: GPUDevice, dialect: Dialect, rewrite: Rewrite = (code) => code) {
    this.#device = device;
    this.#dialect = dialect;
    this.#rewrite = rewrite;
  }

  /** Those that are not there yet. */
  async make(kernels: readonly Kernel[], tell: TellCompiling): Promise<void> {
    const missing = new Map(kernels.map((kernel) => [keyOf(kernel), kernel]));
    for (const key of this.#pipelines.keys()) missing.delete(key);
    let done = 0;
    const make = async (kernel: Kernel) => {
      await this.get(kernel);
      tell({ doing: 'compiling', done: ++done, total: missing.size });
    };
    await Promise.all([...missing.values()].map(make));
  }

  get(kernel: Kernel): Promise<GPUComputePipeline> {
    const { file, entry } = kernel;
    return cached(this.#pipelines, keyOf(kernel), async () => {
      const { code, overrides } = this.shader(kernel);
      const module = await cached(this.#modules, code, () => this.#compile(file, code));
      const compute = { module, entryPoint: entry, constants: overrides };
      const pipeline = this.#device.createComputePipelineAsync({ label: entry, layout: 'auto', compute });
      return pipeline.catch((error: Error) => doesNotCompile(file, error));
    });
  }

  /** A kernel as this device takes it. */
  shader(kernel: Kernel): Shader {
    const { code, overrides } = shaderOf(kernel);
    return { code: translated(this.#rewrite(code), this.#dialect), overrides };
  }

  async #compile(file: string, code: string): Promise<GPUShaderModule> {
    this.#device.pushErrorScope('validation');
    const module = this.#device.createShaderModule({ label: file, code });
    const error = await this.#device.popErrorScope();
    if (error) doesNotCompile(file, error);
    return module;
  }
}

const keyOf = ({ file, entry, types, constants }: Kernel): string =>
  JSON.stringify([file, entry, types, constants]);

/** Names another file whose declarations belong to a kernel. */
const IMPORTS = /^\/\/ import (\w+)\.wgsl$/gm;
/** Storage of a type that the file leaves open: an upper-case name. */
const OPEN_TYPES = /var<storage, \w+> \w+: array<([A-Z][A-Z0-9]*)>/g;

/** A kernel as WebGPU takes it. */
export interface Shader {
  readonly code: string;
  /** Values of its `override` constants. */
  readonly overrides: Readonly<Record<string, number>>;
}

/**
 * A kernel's text with the files it imports and with what it leaves open: types, f32 unless given, and the constants
 * that it uses but does not declare. Only directives must come first in WGSL.
 */
export function shaderOf({ file, types, constants }: Omit<Kernel, 'entry'>): Shader {
  const text = textOf(file);
  const enable = Object.values(types).includes('f16') ? 'enable f16;' : '';
  const open = new Set([...text.matchAll(OPEN_TYPES)].map(([, name]) => name!));
  const aliases = [...open].map((name) => `alias ${name} = ${types[name] ?? 'f32'};`);
  const given = Object.entries(constants);
  const isOpen = (name: string) =>
    !text.includes(`override ${name}:`) && new RegExp(`\\b${name}\\b`).test(text);
  const declared = given.filter(([name]) => isOpen(name)).map(([name, n]) => `const ${name}: u32 = ${n};`);
  return {
    code: [enable + text, ...aliases, ...declared, ''].join('\n'),
    overrides: Object.fromEntries(given.filter(([name]) => !isOpen(name))),
  };
}

function textOf(file: string): string {
  const text = readFileSync(new URL(`../../kernels/${file}.wgsl`, import.meta.url), 'utf8');
  return [text, ...[...text.matchAll(IMPORTS)].map(([, name]) => textOf(name!))].join('\n');
}

function doesNotCompile(file: string, { message }: { message: string }): never {
  throw new Error(`kernels/${file}.wgsl does not compile: ${oneLine(message)}`);
}

function cached<T>(cache: Map<string, Promise<T>>, key: string, make: () => Promise<T>): Promise<T> {
  const known = cache.get(key) ?? make();
  cache.set(key, known);
  return known;
}
