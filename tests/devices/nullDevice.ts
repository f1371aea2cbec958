import * as assert from 'uvu/assert';
import { create } from 'webgpu';
import { type Dialect, dialectOf, MATRIX_FEATURES, translated } from '#src/devices/webgpu/dialect.js';
import type { Dispatch } from '#src/devices/webgpu/lowering/lowering.js';
import { shaderOf } from '#src/devices/webgpu/pipelines.js';

/** Dawn's objects; when they are collected before a device of theirs, the process dies. */
const kept: unknown[] = [];
(globalThis as { keptByTests?: unknown[] }).keptByTests = kept;

interface NullDevice {
  readonly adapter: GPUAdapter;
  readonly device: GPUDevice;
  readonly dialect: Dialect;
}

/** Dawn's null backend, which computes nothing, but takes subgroup matrices and checks shaders and pipelines. */
export async function openNullDevice(): Promise<NullDevice> {
  const gpu = create(['backend=null', 'enable-dawn-features=allow_unsafe_apis']);
  const adapter = (await gpu.requestAdapter())!;
  const wanted = ['shader-f16', 'subgroups', ...MATRIX_FEATURES] as GPUFeatureName[];
  const requiredFeatures = wanted.filter((feature) => adapter.features.has(feature));
  const device = await adapter.requestDevice({ requiredFeatures });
  kept.push(gpu, adapter, device);
  return { adapter, device, dialect: await dialectOf(device, adapter.info) };
}

export async function expectValid(
  { device, dialect }: NullDevice,
  kernels: readonly Dispatch[],
): Promise<void> {
  assert.ok(dialect.matrices, 'the null backend has no subgroup matrices any more');
  for (const kernel of kernels) {
    device.pushErrorScope('validation');
    device.createShaderModule({ code: translated(shaderOf(kernel).code, dialect) });
    const error = await device.popErrorScope();
    assert.is(error?.message, undefined, JSON.stringify(kernel.constants));
  }
}
