import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Device } from '#src/devices/device.js';
import { findAdapter } from '#src/devices/webgpu/adapter.js';
import { Gpu } from '#src/devices/webgpu/gpu.js';
import { layOut, planOn } from '#src/devices/webgpu/layout.js';
import type { Target } from '#src/devices/webgpu/lowering/lowering.js';
import { WebGpuSession } from '#src/devices/webgpu/session.js';
import { targetOf } from '#src/devices/webgpu/target.js';
import type { Module } from '#src/program/types.js';
import { prepare, runCase } from '../ops/harness.js';
import { cases } from '../ops/index.js';

/** Ops on adapters with less room than the one at hand: bindings and grids are split. */

const adapter = await findAdapter({ allowSoftware: true }).catch((error: Error) => error);
const limited = suite('webgpu with tighter limits');
const test: typeof limited = adapter instanceof Error ? (limited.skip as typeof limited) : limited;
if (adapter instanceof Error) console.log(`webgpu is skipped: ${adapter.message}`);

const DEVICE = {
  description: 'limited',
  maxSessionBytes: Infinity,
  maxTotalBytes: Infinity,
  microBatchTokens: 2048,
  lossScaling: false,
};

/** A device of the adapter at hand, held to tighter limits. */
async function openLimited(tighter: Partial<Target>) {
  const found = await findAdapter({ allowSoftware: true });
  const gpu = await Gpu.open(found);
  const limits = { ...targetOf(found), ...tighter };
  const device: Device = {
    info: { ...DEVICE, name: 'webgpu' },
    plan: (module) => planOn(module, limits),
    compile: (module) => WebGpuSession.compile(gpu, module, limits),
    attach: () => assert.unreachable('nobody attaches') as never,
    close: () => gpu.close(),
  };
  const kernels = (module: Module, target: Target) =>
    [...layOut(module, target).programs.values()].flat().flatMap((call) => call.dispatches);
  return {
    device,
    /** The dispatches of a module with the tighter limits, and with the adapter's own. */
    compare: (module: Module) => [kernels(module, limits), kernels(module, targetOf(found))] as const,
  };
}

function prepareNamed(name: string) {
  const opCase = cases.find(({ op, label }) => name === `${op} ${label}`);
  assert.ok(opCase, `tests/ops has no case "${name}" any more`);
  return prepare(opCase!);
}

test('tables, weights and logits larger than a binding are used in ranges', async () => {
  const { device, compare } = await openLimited({ bindingBytes: 160 * 1024 });
  for (const name of [
    'embed 70 of 512 x 172 bf16',
    'embed_dw 13 of 3001 x 43, no base',
    'embed_dw 300 of 1100 x 64, base',
    'linear 1 x 600 to 300, bf16, no base',
    'linear 7 x 172 to 600, bf16, base, bias, rank 1, scale 0.5',
    'linear_dx 1 x 600 back to 300, bf16, no base',
    'linear_dx 7 x 172 back to 600, bf16, base, rank 1, scale 0.5',
    'joint_loss_head 300 tokens, 1000 x 64 f32, teacher 1024 x 96 bf16, alpha 0.5, temperature 1',
    'joint_loss_head 7 tokens, 5000 x 43 f32, teacher 5003 x 16 f16, alpha 0.5, temperature 1',
    'joint_loss_head 300 tokens, 1000 x 64 f32, teacher 1000 x 40 f32, alpha 0.5, temperature 1, reverse-kl, trained head',
    'joint_loss_head 1030 tokens, 131 x 24 f32, teacher 130 x 12 f32, alpha 0.5, temperature 1, jsd 0.5, trained head',
    'accumulate 257 x 301',
    'sum_of_squares 257 x 301',
  ]) {
    const prepared = prepareNamed(name);
    const [ranges, whole] = compare(prepared.module);
    assert.ok(ranges.length > whole.length, name);
    await runCase(device, prepared);
  }
  await device.close();
});

test('what is larger than a grid is computed in steps', async () => {
  const { device, compare } = await openLimited({ groups: 2 });
  for (const name of [
    'add 301 x 601',
    'dropout 300 x 289, p 0.1, site 6, in place',
    'embed 300 of 512 x 64 f32',
    'embed_dw 70 of 211 x 600, base',
    'embed_dw 1030 of 3 x 9, no base',
    'rmsnorm 300 x 172, x about 1, eps 0.00001',
    'rmsnorm_dx 300 x 172, base',
    'rope 300 x 2 heads of 64, direction 1',
    'swiglu 300 x 288, |gate| to 5',
    'swiglu_dx 300 x 288, |gate| to 5',
  ]) {
    const prepared = prepareNamed(name);
    const [steps, whole] = compare(prepared.module);
    assert.ok(
      steps.some(({ groups }, i) => groups.some((count, side) => count < whole[i]!.groups[side]!)),
      name,
    );
    await runCase(device, prepared);
  }
  await device.close();
});

limited.run();
