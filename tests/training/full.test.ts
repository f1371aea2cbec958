import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openModelFiles } from '#src/model/modelFiles.js';
import { weightShapes } from '#src/model/weights.js';
import { projectRoot } from '../support.js';
import { largestDifference, mean, readCase, readExpected, relativeDistance, Training } from './training.js';

/** All weights trained, against PyTorch's autograd and AdamW: tests/goldens/README.md, "The families". */

const CASES = ['llama', 'smollm', 'qwen2', 'qwen3'];
/**
 * f32 against f64. Reached, the worst of the four: losses of a token 3.3e-6, gradients 2.3e-6, losses of a step 7.3e-7,
 * norms 1.2e-6; room for processors without FMA.
 */
const TOLERANCE = { loss: 1e-5, gradient: 1e-5, stepLoss: 5e-6, norm: 1e-5 };
const families = join(projectRoot, 'tests/goldens/families');

for (const name of CASES) {
  const test = suite(`full training: ${name}`);
  const folder = join(families, name);
  const { batch, floats } = readExpected(join(folder, 'full.safetensors'));
  const file = readCase(folder, 'full.json');
  const student = openModelFiles(join(folder, 'student'));
  const teacher = file.teacher ? openModelFiles(join(families, file.teacher, 'student')) : undefined;
  const shape = { microRows: 1, rows: batch.rows, sequence: batch.sequence };
  const start = () =>
    Training.start({
      ...file,
      ...shape,
      student,
      teacher,
      adapter: undefined,
      weightDecay: file.weight_decay,
    });

  test('losses and the gradient of every weight', async () => {
    const training = await start();
    const { ce, kl, count } = await training.learn(batch);
    const gradients = await training.gradients();
    await training.close();
    for (const [what, ours] of Object.entries({ ce, kl })) {
      const difference = largestDifference(ours, floats(what));
      assert.ok(difference <= TOLERANCE.loss, `${what} differs by ${difference}`);
    }
    assert.equal([...gradients.keys()].sort(), [...weightShapes(student.config).keys()].sort());
    for (const [tensor, gradient] of gradients) {
      const average = gradient.map((x) => x / count);
      const distance = relativeDistance(average, floats(`grad.${tensor}`));
      assert.ok(distance <= TOLERANCE.gradient, `gradient of ${tensor} is off by ${distance}`);
    }
  });

  test('ten optimizer steps', async () => {
    const training = await start();
    try {
      const [losses, norms] = [floats('step.loss'), floats('step.grad_norm')];
      for (let step = 1; step <= file.steps; step++) {
        const { ce, kl, count } = await training.learn(batch, step);
        const loss = file.alpha * mean(kl, count) + (1 - file.alpha) * mean(ce, count);
        const norm = await training.update(file, step, count);
        const off = Math.abs(loss - losses[step - 1]!);
        assert.ok(off <= TOLERANCE.stepLoss, `loss at step ${step} is ${loss}, off by ${off}`);
        const ratio = norm / norms[step - 1]!;
        assert.ok(Math.abs(ratio - 1) <= TOLERANCE.norm, `gradient norm at step ${step} is ${norm}`);
      }
    } finally {
      await training.close();
    }
  });

  test.run();
}
