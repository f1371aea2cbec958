import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Device } from '#src/devices/device.js';
import { findAdapter } from '#src/devices/webgpu/adapter.js';
import { Gpu } from '#src/devices/webgpu/gpu.js';
import { layOut, planOn } from '#src/devices/webgpu/layout.js';
import type { Matrices, Target } from '#src/devices/webgpu/lowering/lowering.js';
import { WebGpuSession } from '#src/devices/webgpu/session.js';
import { targetOf } from '#src/devices/webgpu/target.js';
import type { Module } from '#src/program/types.js';
import { prepare, runCase } from '../ops/harness.js';
import { cases } from '../ops/index.js';
import { emulateAttention } from './emulatedAttention.js';

/** Attention by subgroup matrices, emulated, against the case table: cases of whole tiles and whole matrices. */

const adapter = await findAdapter({ allowSoftware: true }).catch((error: Error) => {
  if (process.env.RIVULET_REQUIRE_WEBGPU === '1') throw error;
  return error;
});
if (adapter instanceof Error) console.log(`webgpu is skipped: ${adapter.message}`);

/** Matrices, and the heads they are tried on: each size makes shaders of its own. */
const SIZES: readonly (readonly [Matrices, RegExp])[] = [
  [{ m: 16, n: 16, k: 16, subgroup: 32 }, /^2 x 128, .* heads of 96/],
  [{ m: 8, n: 8, k: 8, subgroup: 32 }, /^2 x 128, .* heads of 48/],
];

for (const [matrices, heads] of SIZES) {
  const { m, n, k } = matrices;
  const plain = suite(`attention by matrices of ${m} x ${n} x ${k}`);
  const test: typeof plain = adapter instanceof Error ? (plain.skip as typeof plain) : plain;
  let device: Device;
  let target: Target;

  const usesMatrices = (module: Module) =>
    [...layOut(module, target).programs.values()]
      .flat()
      .flatMap(({ dispatches }) => dispatches)
      .some(({ file }) => file === 'attention_matrix');

  plain.before(async () => {
    if (adapter instanceof Error) return;
    const found = await findAdapter({ allowSoftware: true });
    target = { ...targetOf(found, 'f16'), matrices };
    const gpu = await Gpu.open(found, (code) => emulateAttention(code, matrices.subgroup));
    device = {
      info: {
        ...{ name: 'webgpu', description: 'emulated matrices', lossScaling: true },
        ...{ maxSessionBytes: Infinity, maxTotalBytes: Infinity, microBatchTokens: 2048 },
      },
      plan: (module) => planOn(module, target),
      compile: (module) => WebGpuSession.compile(gpu, module, target),
      attach: () => assert.unreachable('nobody attaches') as never,
      close: () => gpu.close(),
    };
  });
  plain.after(() => device?.close());

  for (const opCase of cases.filter(({ op, label }) => op.startsWith('attention') && heads.test(label))) {
    test(`${opCase.op} ${opCase.label}`, async () => {
      const prepared = prepare(opCase);
      assert.ok(usesMatrices(prepared.module), 'expected the case to be computed by matrices');
      await runCase(device, prepared, true);
    });
  }

  plain.run();
}
