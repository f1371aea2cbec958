import * as assert from 'uvu/assert';
import type { Target } from '#src/devices/webgpu/lowering/lowering.js';
import type { Module } from '#src/program/types.js';
import { runCase } from '../ops/harness.js';
import { dispatchesOf, gpuSuite, openChanged, prepareNamed } from './gpuDevice.js';

/** Ops on adapters with less room than the one at hand: bindings and grids are split. */

const { tests, test } = gpuSuite('webgpu with tighter limits');

/** A device held to tighter limits, and the dispatches of a module with them and with the adapter's own. */
async function openLimited(tighter: Partial<Target>) {
  const device = await openChanged(tighter);
  const free = await openChanged({});
  await free.close();
  const compare = (module: Module) =>
    [device, free].map(({ target }) => dispatchesOf(module, target)) as [
      ReturnType<typeof dispatchesOf>,
      ReturnType<typeof dispatchesOf>,
    ];
  return { device, compare };
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
      steps.some(({ groups }, i) => groups.some((count, side) => count! < whole[i]!.groups[side]!)),
      name,
    );
    await runCase(device, prepared);
  }
  await device.close();
});

tests.run();
