import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Device } from '#src/devices/device.js';
import { findAdapter } from '#src/devices/webgpu/adapter.js';
import { Gpu } from '#src/devices/webgpu/gpu.js';
import { layOut, planOn } from '#src/devices/webgpu/layout.js';
import type { Dispatch, Target } from '#src/devices/webgpu/lowering/lowering.js';
import type { Rewrite } from '#src/devices/webgpu/pipelines.js';
import { WebGpuSession } from '#src/devices/webgpu/session.js';
import { type KernelKind, targetOf } from '#src/devices/webgpu/target.js';
import type { Tuner } from '#src/devices/webgpu/tuner.js';
import type { Module } from '#src/program/types.js';
import { type PreparedCase, prepare } from '../ops/harness.js';
import { cases } from '../ops/index.js';

/**
 * Whether webgpu must be tested (RIVULET_REQUIRE_WEBGPU=1): then a driver that is a program will do, and no driver at all is a
 * failure. Otherwise tests take a GPU that is hardware, or are skipped: many machines have software drivers, which
 * take minutes.
 */
const isRequired = process.env.RIVULET_REQUIRE_WEBGPU === '1';

/** Why webgpu is not tested here. */
export const noGpu: Error | undefined = await findAdapter({ allowSoftware: isRequired }).then(
  () => undefined,
  (error: Error) => {
    if (isRequired) throw error;
    console.log(`webgpu is skipped: ${error.message}`);
    return error;
  },
);

/** A suite, and how to add a test that needs a GPU to it. */
export function gpuSuite(name: string) {
  const tests = suite(name);
  return { tests, test: noGpu ? (tests.skip as typeof tests) : tests };
}

/** Kinds of kernels that are tested here: those on subgroup matrices, where the adapter has such. */
export const kernelKinds: readonly KernelKind[] = ['f32', 'f16', ...(await matrixKinds())];

async function matrixKinds(): Promise<KernelKind[]> {
  if (noGpu) return [];
  try {
    const adapter = await findAdapter({ allowSoftware: true });
    const gpu = await Gpu.open(adapter);
    await gpu.close();
    targetOf(adapter, gpu.dialect, 'matrix');
    return ['matrix'];
  } catch {
    console.log('subgroup matrices are emulated: the adapter has none');
    return [];
  }
}

export interface GpuDevice extends Device {
  readonly gpu: Gpu;
  readonly target: Target;
}

interface Changes {
  readonly kernels?: 'f32' | 'f16';
  readonly rewrite?: Rewrite;
  readonly tuner?: Tuner;
}

/** The adapter at hand as a device whose kernels are made for another target. */
export async function openChanged(change: Partial<Target>, changes: Changes = {}): Promise<GpuDevice> {
  const { kernels = 'f32', rewrite, tuner } = changes;
  const adapter = await findAdapter({ allowSoftware: true });
  const gpu = await Gpu.open(adapter, rewrite);
  const target: Target = { ...targetOf(adapter, gpu.dialect, kernels), ...change };
  return {
    ...{ gpu, target },
    info: {
      ...{
        name: 'webgpu',
        description: 'changed for a test',
        kernels: `webgpu ${kernels}`,
        microBatchTokens: 2048,
      },
      ...{ maxSessionBytes: Infinity, maxTotalBytes: Infinity, lossScaling: kernels === 'f16' },
    },
    plan: (module) => planOn(module, target),
    compile: (module, tell) => WebGpuSession.compile(gpu, module, target, { tuner, tell }),
    attach: () => assert.unreachable('nobody attaches') as never,
    close: () => gpu.close(),
  };
}

export const dispatchesOf = (module: Module, target: Target): Dispatch[] =>
  [...layOut(module, target).programs.values()].flat().flatMap((call) => call.dispatches);

/** A case of tests/ops by its op and label. */
export function prepareNamed(name: string): PreparedCase {
  const opCase = cases.find(({ op, label }) => name === `${op} ${label}`);
  assert.ok(opCase, `tests/ops has no case "${name}" any more`);
  return prepare(opCase!);
}
