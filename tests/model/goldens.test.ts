import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openDevice } from '#src/devices/index.js';
import { rowLogits } from '#src/evaluation/perplexity.js';
import { openSafetensors, readFloat32, readTensor, type TensorInfo } from '#src/formats/safetensors.js';
import { loraOptions } from '#src/model/lora.js';
import { evaluationModule } from '#src/model/programs.js';
import { loadWeights } from '#src/model/weights.js';
import { projectRoot } from '../support.js';
import {
  type Batch,
  largestDifference,
  mean,
  openCase,
  readCase,
  relativeDistance,
  Training,
} from './training.js';

/** PyTorch is the judge: tests/goldens/README.md says how the answers were made and how far to trust them. */

const CASES = ['mha-tied', 'gqa-llama3-rope', 'odd-padded-vocab', 'bf16-sharded'];

/** f32 against f64: PyTorch's own f32 run differs by up to 1e-5 in logits and losses, 2e-6 in gradients. */
const TOLERANCE = { logits: 1e-4, loss: 5e-5, gradient: 1e-4, stepLoss: 1e-4, final: 1e-3 };

function integers(info: TensorInfo): Int32Array {
  const result = new Uint8Array(info.byteLength);
  readTensor(info, (chunk, at) => result.set(chunk, at));
  return new Int32Array(result.buffer);
}

function readExpected(folder: string) {
  const { tensors } = openSafetensors(join(folder, 'expected.safetensors'));
  const floats = (name: string) => readFloat32(tensors.get(name)!);
  const [rows, sequence] = tensors.get('tokens')!.shape as [number, number];
  const batch: Batch = {
    rows,
    sequence,
    tokens: Uint32Array.from(integers(tensors.get('tokens')!)),
    labels: integers(tensors.get('labels')!),
    positions: Uint32Array.from(integers(tensors.get('positions')!)),
  };
  return { batch, floats };
}

for (const name of CASES) {
  const folder = join(projectRoot, 'tests/goldens', name);
  const test = suite(`PyTorch goldens: ${name}`);
  const { batch, floats } = readExpected(folder);
  const file = readCase(folder);
  const shape = { microRows: batch.rows, sequence: batch.sequence };
  const start = () =>
    Training.start({ ...openCase(folder), ...file, ...shape, weightDecay: file.weight_decay });

  test('logits with the adapter', async () => {
    const { student, adapter } = openCase(folder);
    const module = evaluationModule(student, batch, loraOptions(adapter.config));
    const device = await openDevice('wasm', { threads: 2 });
    const session = await device.compile(module.module);
    await loadWeights(session, student, module.weights);
    for (const [tensor, value] of module.lora!.values) {
      await session.write(value, adapter.tensors.get(tensor)!.data);
    }
    const rows = [{ ...batch, documents: [] }];
    const difference = largestDifference(await rowLogits(session, module, rows), floats('logits'));
    await device.close();
    assert.ok(difference <= TOLERANCE.logits, `logits differ by ${difference}`);
  });

  test('losses and the gradient of every LoRA tensor', async () => {
    const training = await start();
    const { ce, kl, count } = await training.learn(batch);
    const gradients = await training.gradients();
    await training.close();
    for (const [what, ours] of [
      ['ce', ce],
      ['kl', kl],
    ] as const) {
      const difference = largestDifference(ours, floats(what));
      assert.ok(difference <= TOLERANCE.loss, `${what} differs by ${difference}`);
    }
    assert.ok(gradients.size > 0);
    for (const [tensor, gradient] of gradients) {
      const distance = relativeDistance(
        gradient.map((x) => x / count),
        floats(`grad.${tensor}`),
      );
      assert.ok(distance <= TOLERANCE.gradient, `gradient of ${tensor} is off by ${distance}`);
    }
  });

  test('twenty optimizer steps', async () => {
    const training = await start();
    const losses = floats('step.loss');
    const norms = floats('step.grad_norm');
    for (let step = 1; step <= file.steps; step++) {
      const { ce, kl, count } = await training.learn(batch, step);
      const loss = file.alpha * mean(kl, count) + (1 - file.alpha) * mean(ce, count);
      const norm = await training.update(file, step, count);
      const off = Math.abs(loss - losses[step - 1]!);
      assert.ok(off <= TOLERANCE.stepLoss, `loss at step ${step} is ${loss}, off by ${off}`);
      assert.ok(Math.abs(norm / norms[step - 1]! - 1) <= 1e-3, `gradient norm at step ${step} is ${norm}`);
    }
    for (const [tensor, data] of await training.parameters()) {
      const distance = relativeDistance(data, floats(`final.${tensor}`));
      assert.ok(distance <= TOLERANCE.final, `${tensor} after training is off by ${distance}`);
    }
    await training.close();
  });

  test.run();
}
