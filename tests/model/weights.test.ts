import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openDevice } from '#src/devices/openDevice.js';
import { openSafetensors, readFloat32, type TensorData, writeSafetensors } from '#src/formats/safetensors.js';
import { readModelConfig } from '#src/model/config.js';
import { openModelFiles } from '#src/model/modelFiles.js';
import { evaluationModule } from '#src/model/programs.js';
import { loadWeights, sourcesOf, weightShapes } from '#src/model/weights.js';
import { makeFixture, STUDENT } from '../fixtures.js';
import { inputErrorOf } from '../inputErrors.js';
import { temporaryFolder } from '../support.js';

/** Resident memory while a model is loaded, beyond what the process held before, over the model's size. */
const MOST_PEAK = 1.2;

/** 197 MB of bf16: an index and two shards. */
function writeLargeModel(folder: string): number {
  mkdirSync(folder);
  const config = {
    ...STUDENT,
    ...{ vocab_size: 16_384, hidden_size: 1024, intermediate_size: 4096, num_hidden_layers: 5 },
    ...{ num_attention_heads: 16, num_key_value_heads: 4, head_dim: 64 },
  };
  writeFileSync(join(folder, 'config.json'), JSON.stringify(config));
  const shapes = [...weightShapes(readModelConfig(folder))];
  const count = (shape: readonly number[]) => shape.reduce((product, size) => product * size, 1);
  // Not 0: the system gives no memory to pages that nothing was written to.
  const elements = new Uint16Array(Math.max(...shapes.map(([, shape]) => count(shape)))).fill(0x3c23);
  const shards = [shapes.slice(0, 20), shapes.slice(20)];
  const weightMap: Record<string, string> = {};
  shards.forEach((shard, i) => {
    const tensors = shard.map(([name, shape]) => {
      const data: TensorData = { dtype: 'BF16', shape, data: elements.subarray(0, count(shape)) };
      return [name, data] as const;
    });
    const file = `model-${i}.safetensors`;
    writeSafetensors(join(folder, file), new Map(tensors));
    for (const [name] of shard) weightMap[name] = file;
  });
  writeFileSync(join(folder, 'model.safetensors.index.json'), JSON.stringify({ weight_map: weightMap }));
  return 2 * shapes.reduce((sum, [, shape]) => sum + count(shape), 0);
}

test('loading a large model takes little more memory than the model', async () => {
  const folder = join(temporaryFolder('large'), 'model');
  const size = writeLargeModel(folder);
  assert.ok(size > 150e6);
  const script = fileURLToPath(new URL('./loadModel.js', import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [script, folder]);
  rmSync(folder, { recursive: true });
  const { before, peak } = JSON.parse(stdout) as { before: number; peak: number };
  const ratio = (peak - before) / size;
  assert.ok(ratio >= 0.9, `the model is in memory: ${ratio} of its size`);
  assert.ok(ratio < MOST_PEAK, `peak of ${ratio} times the model's size`);
});

test('matrices keep the type they have on disk and norms are f32; every bit arrives', async () => {
  const fixture = makeFixture('weights');
  for (const [folder, dtype] of [
    [fixture.student, 'f32'],
    [fixture.teacher, 'bf16'],
  ] as const) {
    const checkpoint = openModelFiles(folder);
    const { module, weights } = evaluationModule(checkpoint, { rows: 1, sequence: 8 });
    const device = await openDevice('wasm', { threads: 1 });
    const session = await device.compile(module);
    await loadWeights(session, sourcesOf(checkpoint), weights);
    assert.is(weights.values.size, checkpoint.tensors.size);
    for (const [name, value] of weights.values) {
      const isNorm = value.shape.length === 1;
      assert.is(value.dtype, isNorm ? 'f32' : dtype, name);
      const info = checkpoint.tensors.get(name)!;
      const stored = readFileSync(info.path).subarray(info.byteOffset, info.byteOffset + info.byteLength);
      const loaded = await session.read(value);
      if (isNorm) assert.equal(loaded, readFloat32(info), name);
      else assert.ok(stored.equals(Buffer.from(loaded.buffer as ArrayBuffer)), name);
    }
    await device.close();
  }
});

test('weights that are not those of the config are refused, all in one line', async () => {
  const { student: folder } = makeFixture('weights');
  const path = join(folder, 'model.safetensors');
  const tensors = new Map<string, TensorData>(
    [...openSafetensors(path).tensors].map(([name, info]) => {
      return [name, { dtype: 'F32', shape: info.shape, data: readFloat32(info) }];
    }),
  );
  tensors.delete('model.norm.weight');
  tensors.set('model.layers.1.mlp.up_proj.weight', { dtype: 'F32', shape: [3], data: new Float32Array(3) });
  tensors.set('model.layers.0.mlp.up_proj.weight', {
    dtype: 'I8',
    shape: [40, 24],
    data: new Int8Array(960),
  });
  writeSafetensors(path, tensors);
  const message = await inputErrorOf(() => openModelFiles(folder));
  assert.match(message, `${folder}: expected the weights that config.json describes`);
  for (const problem of [
    'model.norm.weight is missing',
    'model.layers.1.mlp.up_proj.weight is [3], expected [40, 24]',
    'model.layers.0.mlp.up_proj.weight is I8, expected F32, F16 or BF16',
  ]) {
    assert.match(message, problem);
  }
});

test.run();
