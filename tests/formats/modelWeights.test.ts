import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openModelWeights } from '#src/formats/modelShards.js';
import { readFloat32, type TensorData, writeSafetensors } from '#src/formats/safetensors.js';
import { inputErrorOf } from '../inputErrors.js';
import { sharedPath, temporaryFolder } from '../support.js';

/** The weights of a model folder: one file, or shards with an index. */

const folder = temporaryFolder('weights');

function shards(name: string, weightMap: unknown): string {
  const model = join(folder, name);
  mkdirSync(model);
  for (const [shard, tensor] of ['one', 'two'].entries()) {
    const data = Float32Array.of(shard);
    writeSafetensors(
      join(model, `${tensor}.safetensors`),
      new Map<string, TensorData>([
        [tensor, { dtype: 'F32', shape: [1], data }],
        ['both', { dtype: 'F32', shape: [1], data }],
      ]),
    );
  }
  writeFileSync(join(model, 'model.safetensors.index.json'), JSON.stringify(weightMap));
  return model;
}

test('a sharded model is one map, each tensor from the shard that the index names', () => {
  const model = shards('sharded', {
    metadata: { total_size: 12 },
    weight_map: { two: 'two.safetensors', one: 'one.safetensors', both: 'two.safetensors' },
  });
  const tensors = openModelWeights(model);
  assert.equal([...tensors.keys()].sort(), ['both', 'one', 'two']);
  assert.equal(readFloat32(tensors.get('both')!), Float32Array.of(1));
  assert.equal(readFloat32(tensors.get('one')!), Float32Array.of(0));
  const single = { dtype: 'F32', shape: [1], data: Float32Array.of(5) } as const;
  writeSafetensors(join(model, 'model.safetensors'), new Map([['single', single]]));
  assert.equal([...openModelWeights(model).keys()], ['single'], 'the single file comes first');
});

test('a tensor that the index leaves out is read from the shard that holds it', () => {
  const model = shards('left-out', { weight_map: { two: 'two.safetensors', both: 'one.safetensors' } });
  const tensors = openModelWeights(model);
  assert.equal([...tensors.keys()].sort(), ['both', 'one', 'two']);
  assert.equal(readFloat32(tensors.get('one')!), Float32Array.of(0));
  assert.equal(
    readFloat32(tensors.get('both')!),
    Float32Array.of(0),
    'as the index has it, not the last shard',
  );
});

test('bad indexes are refused', async () => {
  const absent = shards('absent-tensors', { weight_map: { x: 'one.safetensors', two: 'one.safetensors' } });
  const message = await inputErrorOf(() => openModelWeights(absent));
  assert.match(
    message,
    /index\.json: expected x in one\.safetensors, two in one\.safetensors, found no such/,
  );
  const outside = shards('outside', { weight_map: { x: '../sharded/one.safetensors' } });
  assert.match(
    await inputErrorOf(() => openModelWeights(outside)),
    /weight_map\.x: .*in this folder, found "\.\./,
  );
  const shapeless = shards('no-map', { weights: {} });
  assert.match(await inputErrorOf(() => openModelWeights(shapeless)), /index\.json: weight_map: /);
  const missing = shards('no-shard', { weight_map: { x: 'three.safetensors' } });
  assert.match(await inputErrorOf(() => openModelWeights(missing)), /three\.safetensors: .*ENOENT/);
  const broken = shards('broken', {});
  writeFileSync(join(broken, 'model.safetensors.index.json'), '{"weight_map":');
  assert.match(await inputErrorOf(() => openModelWeights(broken)), /index\.json: expected JSON/);
  assert.match(await inputErrorOf(() => openModelWeights(temporaryFolder('empty'))), /found neither/);
});

const stories = sharedPath('data/models/stories260k');
(stories ? test : test.skip)('a real model opens with every tensor', () => {
  const tensors = openModelWeights(stories!);
  assert.equal(tensors.get('model.embed_tokens.weight')?.shape, [512, 64]);
  assert.is(tensors.size, 2 + 5 * 9);
  assert.ok(readFloat32(tensors.get('model.norm.weight')!).every(Number.isFinite));
});

test.run();
