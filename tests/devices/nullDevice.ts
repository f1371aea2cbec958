import * as assert from 'uvu/assert';
import { create } from 'webgpu';
import type { Dispatch } from '#src/devices/webgpu/lowering/lowering.js';
import { shaderOf } from '#src/devices/webgpu/pipelines.js';

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

export async function expectValid(device: GPUDevice, kernels: readonly Dispatch[]): Promise<void> {
  for (const kernel of kernels) {
    device.pushErrorScope('validation');
    device.createShaderModule({ code: shaderOf(kernel).code });
    const error = await device.popErrorScope();
    assert.is(error?.message, undefined, JSON.stringify(kernel.constants));
  }
}
