import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { gpuSuite, kernelKinds } from '../devices/gpuDevice.js';
import { projectRoot } from '../support.js';
import { mean, openCase, readCase, readExpected, relativeDistance, Training } from './training.js';

/** The whole step on the webgpu device, with every kind of kernels, against PyTorch. */

/**
 * f32: reached on a software GPU 2.3e-6 and 7.1e-7; WGSL leaves functions such as exp a few units in the last place more.
 * Halves: 2^-11 for each rounding, some dozens of them one after the other; reached 6.4e-3 and 1.0e-3 (relative).
 */
const TOLERANCE = {
  f32: { gradient: 2e-5, stepLoss: 1e-5 },
  f16: { gradient: 1.5e-2, stepLoss: 5e-3 },
  matrix: { gradient: 1.5e-2, stepLoss: 5e-3 },
} as const;
const CASES = ['gqa-llama3-rope', 'bf16-sharded'];

for (const kernels of kernelKinds) {
  for (const name of CASES) {
    const { tests, test } = gpuSuite(`PyTorch goldens on webgpu, ${kernels}: ${name}`);
    const folder = join(projectRoot, 'tests/goldens', name);
    const { batch, floats } = readExpected(join(folder, 'expected.safetensors'));
    const file = readCase(folder);
    const shape = { microRows: batch.rows, sequence: batch.sequence };
    const start = () =>
      Training.start({ ...file, ...openCase(folder), ...shape, weightDecay: file.weight_decay, kernels });

    test('the gradient of every LoRA tensor', async () => {
      const training = await start();
      const { count } = await training.learn(batch);
      const gradients = await training.gradients();
      await training.close();
      assert.ok(gradients.size > 0);
      for (const [tensor, gradient] of gradients) {
        const distance = relativeDistance(
          gradient.map((x) => x / count),
          floats(`grad.${tensor}`),
        );
        assert.ok(distance <= TOLERANCE[kernels].gradient, `gradient of ${tensor} is off by ${distance}`);
      }
    });

    test('the losses of twenty optimizer steps', async () => {
      const training = await start();
      const expected = floats('step.loss');
      for (let step = 1; step <= file.steps; step++) {
        const { ce, kl, count } = await training.learn(batch, step);
        const loss = file.alpha * mean(kl, count) + (1 - file.alpha) * mean(ce, count);
        await training.update(file, step, count);
        const off = Math.abs(loss - expected[step - 1]!);
        const allowed = TOLERANCE[kernels].stepLoss * (kernels === 'f32' ? 1 : expected[step - 1]!);
        assert.ok(off <= allowed, `loss at step ${step} is ${loss}, off by ${off}`);
      }
      await training.close();
    });

    tests.run();
  }
}
