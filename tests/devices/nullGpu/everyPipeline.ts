import { writeSync } from 'node:fs';
import { findAdapter } from '#src/devices/webgpu/adapter.js';
import { Gpu } from '#src/devices/webgpu/gpu.js';
import { layOut } from '#src/devices/webgpu/layout.js';
import type { Dispatch, Target } from '#src/devices/webgpu/lowering/lowering.js';
import { WebGpuSession } from '#src/devices/webgpu/session.js';
import { type KernelKind, targetOf } from '#src/devices/webgpu/target.js';
import { Tuner } from '#src/devices/webgpu/tuner.js';
import { tuningFile } from '#src/devices/webgpu/tuningCache.js';
import type { Module } from '#src/program/types.js';
import { type StepShape, stepModules } from './modules.js';
import { mark } from './shaderStats.js';

/**
 * On the GPU that Vulkan offers: makes the pipelines of the programs of joint steps one after the other, then compiles
 * and replays the programs. Argument: `Order` as JSON; stdout: `Outcome` as JSON.
 */

export interface Order {
  readonly kernels: 'auto' | KernelKind;
  readonly steps: readonly StepShape[];
  /** Pipelines of every variant of a product, or only of those that are used by default. */
  readonly variants: 'all' | 'default';
}

export interface Outcome {
  readonly kind: KernelKind;
  readonly matrices: Target['matrices'];
  readonly pipelines: number;
  /** Files of kernels that the programs use as they were chosen. */
  readonly used: readonly string[];
  readonly replays: number;
}

const { kernels, steps, variants } = JSON.parse(process.argv[2]!) as Order;
const adapter = await findAdapter();
const gpu = await Gpu.open(adapter);
const target = targetOf(adapter, gpu.dialect, kernels);
const modules = steps.flatMap((step) => stepModules(step, target.precision === 'f16'));

/** The dispatches of a module by pipeline, in a way those who read the numbers understand. */
function pipelinesOf(module: Module): Map<string, Dispatch> {
  const found: Dispatch[] = [];
  const choose: Target['choose'] = (_key, offered) => {
    if (variants === 'all') found.push(...offered.flatMap(({ dispatches }) => dispatches));
    return undefined;
  };
  const { programs } = layOut(module, { ...target, choose });
  found.push(...[...programs.values()].flat().flatMap(({ dispatches }) => dispatches));
  return new Map(found.map((dispatch) => [nameOf(dispatch), dispatch]));
}

const nameOf = ({ entry, types, constants }: Dispatch): string =>
  [entry, ...Object.values(types), ...Object.entries(constants).map(([name, n]) => `${name}=${n}`)].join(' ');

const made = new Map(modules.flatMap((module) => [...pipelinesOf(module)]));
for (const [name, dispatch] of made) {
  writeSync(2, mark(name));
  await gpu.pipelines.get(dispatch);
}
writeSync(2, mark('a session'));
const used = new Set<string>();
let replays = 0;
const tuner = new Tuner('quick', tuningFile(gpu.description));
for (const module of modules) {
  const session = await WebGpuSession.compile(gpu, module, target, { tuner });
  for (const { name } of module.programs) {
    for (let i = 0; i < 2; i++, replays++) await session.run(name);
  }
  await session.read(module.values.find(({ role }) => role === 'output')!);
  await session.close();
  for (const calls of layOut(module, target).programs.values()) {
    for (const { file } of calls.flatMap(({ dispatches }) => dispatches)) used.add(file);
  }
}
await gpu.close();
const kind = target.matrices ? 'matrix' : target.precision;
const outcome: Outcome = {
  ...{ kind, matrices: target.matrices, pipelines: made.size, used: [...used].sort(), replays },
};
process.stdout.write(JSON.stringify(outcome));
