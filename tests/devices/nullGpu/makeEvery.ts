import * as assert from 'uvu/assert';
import type { Order, Outcome } from './everyPipeline.js';
import { type NullGpuFamily, runOnNullGpu } from './nullGpu.js';
import { type ShaderStats, shaderStats } from './shaderStats.js';

/** Makes and replays what is ordered on the null GPU; fails where anything spills or lies beside the registers. */
export async function makeEvery(family: NullGpuFamily, order: Order): Promise<Outcome> {
  const start = performance.now();
  const { code, stdout, stderr } = await runOnNullGpu(family, 'everyPipeline', [JSON.stringify(order)]);
  assert.is(code, 0, stderr.slice(-2000));
  const outcome = JSON.parse(stdout) as Outcome;
  const stats = shaderStats(stderr);
  assert.ok(stats.length >= outcome.pipelines, `${outcome.pipelines} pipelines, ${stats.length} shaders`);
  const spilling = stats.filter(
    ({ spilledVgprs, spilledSgprs, scratch }) => spilledVgprs + spilledSgprs + scratch > 0,
  );
  assert.equal(spilling.map(describe), [], family);
  const most = Math.max(...stats.map(({ vgprs }) => vgprs));
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  const steps = order.steps.map(({ family: model, shape, rank }) => `${model} ${shape} ${rank}`).join(', ');
  console.log(
    `${family}, ${outcome.kind}: ${stats.length} shaders of ${steps}; ${most} VGPRs at most; ${seconds} s`,
  );
  return outcome;
}

const describe = ({ name, spilledVgprs, spilledSgprs, scratch }: ShaderStats): string =>
  `${name}: ${spilledVgprs} VGPRs and ${spilledSgprs} SGPRs spilled, ${scratch} bytes of scratch memory`;
