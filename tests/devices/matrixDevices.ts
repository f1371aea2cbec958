import * as assert from 'uvu/assert';
import { create } from 'webgpu';
import type { Device } from '#src/devices/device.js';
import { findAdapter } from '#src/devices/webgpu/adapter.js';
import { Gpu } from '#src/devices/webgpu/gpu.js';
import { planOn } from '#src/devices/webgpu/layout.js';
import type { Matrices, Target } from '#src/devices/webgpu/lowering/lowering.js';
import { WebGpuSession } from '#src/devices/webgpu/session.js';
import { targetOf } from '#src/devices/webgpu/target.js';
import { emulateMatrices } from './emulatedMatrices.js';

/** Dawn's objects; when they are collected before a device of theirs, the process dies. */
const kept: unknown[] = [];
(globalThis as { keptByTests?: unknown[] }).keptByTests = kept;

/** Dawn's null backend, which computes nothing, but takes subgroup matrices and checks shaders and pipelines. */
export async function openNullDevice(): Promise<{ adapter: GPUAdapter; device: GPUDevice }> {
  const gpu = create(['backend=null', 'enable-dawn-features=allow_unsafe_apis']);
  const adapter = (await gpu.requestAdapter())!;
  const names = ['shader-f16', 'subgroups', 'chromium-experimental-subgroup-matrix'];
  const device = await adapter.requestDevice({ requiredFeatures: names as GPUFeatureName[] });
  kept.push(gpu, adapter, device);
  return { adapter, device };
}

/** The adapter that there is, as a device that computes all products by one variant. */
export interface ForcedDevice extends Device {
  readonly target: Target;
}

/** @param matrices emulated where given, in subgroups of `threads` */
export async function openForced(
  variant: string,
  precision: 'f32' | 'f16',
  matrices: Matrices | null = null,
  threads = matrices?.subgroup ?? 1,
): Promise<ForcedDevice> {
  const adapter = await findAdapter({ allowSoftware: true });
  const gpu = await Gpu.open(adapter, (code) => emulateMatrices(code, threads));
  const choose: Target['choose'] = (key, variants) => {
    const chosen = variants.find(({ name }) => name === variant);
    assert.ok(chosen, `${variant} is none of ${variants.map(({ name }) => name)}, for ${key}`);
    return chosen;
  };
  const target = { ...targetOf(adapter, precision), matrices, choose };
  return {
    info: {
      ...{ name: 'webgpu', description: `${variant} on ${threads} threads`, microBatchTokens: 2048 },
      ...{ maxSessionBytes: Infinity, maxTotalBytes: Infinity, lossScaling: false },
    },
    target,
    plan: (module) => planOn(module, target),
    compile: (module) => WebGpuSession.compile(gpu, module, target),
    attach: () => assert.unreachable('nobody attaches') as never,
    close: () => gpu.close(),
  };
}
