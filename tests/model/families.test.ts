import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { InputError } from '#src/base/errors.js';
import { checkAdapter, readAdapter } from '#src/formats/adapter.js';
import { families } from '#src/model/families.js';
import { loraOptions, loraShapes } from '#src/model/lora.js';
import { checkSequence, openModelFiles } from '#src/model/modelFiles.js';
import { weightShapes } from '#src/model/weights.js';
import { projectRoot, temporaryFolder } from '../support.js';
import {
  adaptedLogits,
  largestDifference,
  readExpected,
  relativeDistance,
  Training,
} from '../training/training.js';

/** transformers and PEFT are the judges: tests/goldens/README.md says how the answers were made. */

const CASES = ['llama', 'smollm', 'qwen2', 'qwen3', 'mistral'];
/** f32 on both sides. Reached, the worst of the five: logits 5.7e-6, losses 2.9e-6, gradients 2.5e-6. */
const TOLERANCE = { logits: 1.5e-5, loss: 1e-5, gradient: 1e-5 };

const folderOf = (name: string) => join(projectRoot, 'tests/goldens/families', name);

for (const name of CASES) {
  const test = suite(`families: ${name}`);
  const folder = folderOf(name);
  const student = openModelFiles(join(folder, 'student'));
  const adapter = readAdapter(join(folder, 'adapter'));
  const { batch, floats } = readExpected(join(folder, 'expected.safetensors'));

  test('uses every tensor of the checkpoint and of the adapter', () => {
    assert.equal([...student.tensors.keys()].sort(), [...weightShapes(student.config).keys()].sort());
    checkAdapter(adapter, loraShapes(student.config, loraOptions(adapter.config, student.config)));
  });

  test('logits with the adapter', async () => {
    const difference = largestDifference(await adaptedLogits(student, adapter, batch), floats('logits'));
    assert.ok(difference <= TOLERANCE.logits, `logits differ by ${difference}`);
  });

  test('cross-entropy and the gradient of every LoRA tensor', async () => {
    const training = await Training.start({
      ...{ student, teacher: undefined, adapter, alpha: 0, temperature: 1, weightDecay: 0 },
      ...{ microRows: 1, rows: batch.rows, sequence: batch.sequence },
    });
    const { ce, count } = await training.learn(batch);
    const gradients = await training.gradients();
    await training.close();
    const difference = largestDifference(ce, floats('ce'));
    assert.ok(difference <= TOLERANCE.loss, `ce differs by ${difference}`);
    assert.equal([...gradients.keys()].sort(), [...adapter.tensors.keys()].sort());
    for (const [tensor, gradient] of gradients) {
      const mean = gradient.map((x) => x / count);
      const distance = relativeDistance(mean, floats(`grad.${tensor}`));
      assert.ok(distance <= TOLERANCE.gradient, `gradient of ${tensor} is off by ${distance}`);
    }
  });

  test.run();
}

const test = suite('families');

/** A copy of a case's student, with some fields of its config changed. */
function changed(name: string, fields: Record<string, unknown>): string {
  const folder = temporaryFolder('families');
  cpSync(join(folderOf(name), 'student'), folder, { recursive: true });
  const file = join(folder, 'config.json');
  writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, 'utf8')), ...fields }));
  return folder;
}

function assertRefused(action: () => void, message: RegExp): void {
  assert.throws(action, (error: Error) => error instanceof InputError && message.test(error.message));
}

test('every family has a case', () => {
  const covered = CASES.map((name) =>
    JSON.parse(readFileSync(join(folderOf(name), 'student/config.json'), 'utf8')),
  );
  assert.equal([...new Set(covered.map((config) => config.model_type))].sort(), [...families.keys()].sort());
});

test('a sequence longer than the attention window is refused', () => {
  const folder = changed('mistral', {});
  checkSequence(openModelFiles(folder), 16);
  assertRefused(
    () => checkSequence(openModelFiles(folder), 17),
    /^--sequence: expected at most 16, the attention window of .*, found 17$/,
  );
});

test('windows are those that transformers would use', () => {
  const windowOf = (name: string, fields: Record<string, unknown>) =>
    openModelFiles(changed(name, fields)).config.slidingWindow;
  assert.is(windowOf('mistral', { sliding_window: null }), undefined);
  assert.is(windowOf('mistral', { sliding_window: undefined }), 4096);
  for (const name of ['qwen2', 'qwen3']) {
    const qwen = (fields: Record<string, unknown>) =>
      windowOf(name, { use_sliding_window: true, max_window_layers: 0, layer_types: undefined, ...fields });
    assert.is(qwen({ sliding_window: 8 }), 8);
    assert.is(qwen({ sliding_window: undefined }), 4096);
    assert.is(qwen({ sliding_window: null }), undefined);
    assert.is(qwen({ sliding_window: 8, use_sliding_window: false }), undefined);
    assert.is(qwen({ sliding_window: 8, max_window_layers: 2 }), undefined);
    assert.is(qwen({ sliding_window: 8, layer_types: ['full_attention', 'full_attention'] }), undefined);
    assert.is(qwen({ sliding_window: 8, layer_types: ['full_attention', 'sliding_attention'] }), 8);
  }
});

test('a model of another family is refused with the list of those supported', () => {
  assertRefused(
    () => openModelFiles(changed('llama', { model_type: 'gemma2' })),
    /config\.json: model_type: expected one of llama, mistral, qwen2, qwen3, found "?gemma2"?/,
  );
});

test('a checkpoint without the biases or norms of its family is refused', () => {
  assertRefused(
    () => openModelFiles(changed('llama', { model_type: 'qwen2' })),
    /model\.layers\.\{0-1\}\.self_attn\.q_proj\.bias is missing/,
  );
  assertRefused(
    () => openModelFiles(changed('llama', { model_type: 'qwen3', head_dim: 12 })),
    /model\.layers\.\{0-1\}\.self_attn\.k_norm\.weight is missing/,
  );
});

test.run();
