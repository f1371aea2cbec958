import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { configOf, copyAsBfloat16, STUDENT, TEACHER } from '#recipes/miniature/models.js';
import { openModelWeights } from '#src/formats/modelShards.js';
import { readFloat32, writeSafetensors } from '#src/formats/safetensors.js';
import { readModelConfig } from '#src/model/config.js';
import { weightShapes } from '#src/model/weights.js';
import { temporaryFolder } from '../support.js';

const models = suite('miniature/models');

function configFolder(config: object): string {
  const folder = temporaryFolder('miniature');
  writeFileSync(join(folder, 'config.json'), JSON.stringify(config));
  return folder;
}

models('both together are under 8 MB, and the teacher is several times larger', () => {
  const [student, teacher] = [STUDENT, TEACHER].map((shape) => {
    const shapes = weightShapes(readModelConfig(configFolder(configOf(shape))));
    return [...shapes.values()].reduce((sum, sizes) => sum + sizes.reduce((x, y) => x * y, 1), 0);
  }) as [number, number];
  assert.ok(2 * (student + teacher) < 8e6, `${student} and ${teacher} parameters`);
  assert.ok(teacher > 5 * student);
});

models('a copy in bf16 keeps the names, shapes, config and tokenizer', () => {
  const from = configFolder({ ...configOf(STUDENT), torch_dtype: 'float32' });
  for (const name of ['tokenizer.json', 'tokenizer_config.json'])
    writeFileSync(join(from, name), `{"${name}": 1}`);
  const data = Float32Array.of(1, 2.5, -0.125, 1 / 3, 4, 5);
  writeSafetensors(join(from, 'model.safetensors'), new Map([['a', { dtype: 'F32', shape: [2, 3], data }]]));
  const to = join(temporaryFolder('miniature'), 'copy');
  mkdirSync(to);
  copyAsBfloat16(from, to);
  const copy = openModelWeights(to).get('a')!;
  assert.equal([copy.dtype, copy.shape], ['BF16', [2, 3]]);
  assert.equal([...readFloat32(copy)], [1, 2.5, -0.125, 0.333984375, 4, 5]);
  assert.equal(JSON.parse(readFileSync(join(to, 'config.json'), 'utf8')), configOf(STUDENT));
  assert.is(readFileSync(join(to, 'tokenizer.json'), 'utf8'), '{"tokenizer.json": 1}');
});

models.run();
