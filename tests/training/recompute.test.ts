import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { planOn } from '#src/devices/wasm/layout.js';
import { readAdapter } from '#src/formats/adapter.js';
import type { ModelConfig } from '#src/model/config.js';
import { TARGET_MODULES } from '#src/model/lora.js';
import { openModelFiles } from '#src/model/modelFiles.js';
import { studentModule } from '#src/model/programs.js';
import { type ModelFiles, weightShapes } from '#src/model/weights.js';
import { projectRoot } from '../support.js';
import { readExpected, Training, type TrainingOptions } from './training.js';

/** Blocks computed again in the backward pass: less memory, the same bits. */

const CASES = ['llama', 'smollm', 'qwen2', 'qwen3', 'mistral'];
const bits = suite('recompute: bits');

/** Everything a batch leaves behind, and the planned bytes of activations. */
async function outcomeOf(options: TrainingOptions, file: string) {
  const { batch } = readExpected(file);
  const training = await Training.start(options);
  try {
    const { ce } = await training.learn(batch, 3);
    const { activations } = training.session.plan.bytes;
    return { ce, gradients: await training.gradients(), activations };
  } finally {
    await training.close();
  }
}

for (const name of CASES) {
  const folder = join(projectRoot, 'tests/goldens/families', name);
  const file = join(folder, 'expected.safetensors');
  for (const trainable of ['lora', 'all'] as const) {
    bits(`${name}, ${trainable}: losses and every gradient are the same`, async () => {
      const { batch } = readExpected(file);
      const options: TrainingOptions = {
        ...{ student: openModelFiles(join(folder, 'student')), teacher: undefined },
        ...{ alpha: 0, temperature: 1, weightDecay: 0, microRows: 1, rows: batch.rows },
        ...{ sequence: batch.sequence, seed: 5 },
        ...(trainable === 'lora'
          ? { adapter: readAdapter(join(folder, 'adapter')), dropout: 0.2 }
          : { adapter: undefined }),
      };
      const kept = await outcomeOf(options, file);
      const recomputed = await outcomeOf({ ...options, recompute: true }, file);
      assert.equal(recomputed.ce, kept.ce);
      assert.equal([...recomputed.gradients.keys()], [...kept.gradients.keys()]);
      for (const [tensor, gradient] of kept.gradients) {
        assert.ok(gradient.some((x) => x !== 0) && gradient.every(Number.isFinite), tensor);
        assert.equal(recomputed.gradients.get(tensor), gradient, tensor);
      }
      assert.ok(recomputed.activations < kept.activations);
    });
  }
}

bits.run();

const memory = suite('recompute: memory');

/** Llama-3.2-1B, its weights as shapes only. */
function llama1b(layers: number): ModelFiles {
  const config: ModelConfig = {
    ...{ vocabularySize: 128_256, hiddenSize: 2048, intermediateSize: 8192, layers },
    ...{ heads: 32, keyValueHeads: 8, headDim: 64, normEps: 1e-5, ropeTheta: 500_000 },
    ...{ maxPositions: 131_072, tiedEmbeddings: true, eosIds: [] },
  };
  const tensors = [...weightShapes(config)].map(([name, shape]) => [name, { dtype: 'BF16', shape }] as const);
  return {
    ...{ folder: 'llama', configFile: 'config.json', config },
    tensors: new Map(tensors) as unknown as ModelFiles['tensors'],
  };
}

/** Bytes of activations of a micro-batch of 2 x 1024 tokens on the CPU. */
function activations(layers: number, trainable: 'lora' | 'all', recompute: boolean): number {
  const adapter = { rank: 8, alpha: 16, rsLora: false, dropout: 0, targetModules: TARGET_MODULES };
  const { module } = studentModule({
    ...{ student: llama1b(layers), lora: trainable === 'lora' ? adapter : undefined },
    ...{ recompute, lossScaling: false, microBatches: 1 },
    objective: { alpha: 0, temperature: 1, divergence: 'forward-kl', beta: 0.5 },
    optimizer: { beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0 },
    ...{ train: { rows: 2, sequence: 1024 }, evaluate: { rows: 1, sequence: 256 } },
  });
  return planOn(module).bytes.activations;
}

for (const [trainable, least] of [
  ['lora', 8],
  ['all', 3],
] as const) {
  memory(`16 layers, ${trainable}: activations take a ${least}th of the bytes, at most`, () => {
    const [kept, recomputed] = [false, true].map((recompute) => activations(16, trainable, recompute));
    assert.ok(recomputed! * least <= kept!, `${recomputed} and ${kept} bytes`);
  });

  memory(`a further layer, ${trainable}: one more residual stream is kept, and nothing else`, () => {
    const [some, more] = [15, 16].map((layers) => activations(layers, trainable, true));
    assert.is(more! - some!, 2 * 1024 * 2048 * 4);
  });
}

memory.run();
