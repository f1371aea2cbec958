import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { makeCorpora, toJsonl } from '#recipes/miniature/corpora.js';
import { firstDifference, loadTokenizer } from '#src/data/tokenizer.js';
import { openModelWeights } from '#src/formats/modelShards.js';
import { hasMiniature, miniaturePaths, readMiniatureResults } from '#src/prepare/miniature.js';
import { inputErrorOf } from '../inputErrors.js';
import { projectRoot, temporaryFolder } from '../support.js';

const paths = miniaturePaths();

const index = suite('miniature');

index('lies in the package, whole or not at all', () => {
  assert.is(paths.student, join(projectRoot, 'miniature', 'student'));
  const elsewhere = miniaturePaths(temporaryFolder('miniature'));
  assert.is(hasMiniature(elsewhere), false);
  for (const folder of [elsewhere.student, elsewhere.teacher]) mkdirSync(folder);
  for (const file of [elsewhere.corpus, elsewhere.heldOut]) writeFileSync(file, '');
  assert.is(hasMiniature(elsewhere), false);
  writeFileSync(elsewhere.results, '');
  assert.is(hasMiniature(elsewhere), true);
});

index('results that are not as they should be are refused', async () => {
  const path = join(temporaryFolder('miniature'), 'results.json');
  writeFileSync(path, '{"seeds": [0]}');
  const message = await inputErrorOf(() => readMiniatureResults(path));
  assert.ok(message.startsWith(`${path}: `) && message.includes('cptKd'), message);
});

const whenMade = hasMiniature() ? index : index.skip;

whenMade('its texts are those of the grammar: a change of the grammar makes a new miniature', () => {
  const lines = (path: string) => readFileSync(path, 'utf8').split('\n').length - 1;
  const sizes = { heldOut: lines(paths.heldOut), corpus: lines(paths.corpus), student: 0, teacher: 0 };
  const { heldOut, corpus } = makeCorpora(sizes);
  assert.ok(toJsonl(heldOut) === readFileSync(paths.heldOut, 'utf8'), paths.heldOut);
  assert.ok(toJsonl(corpus) === readFileSync(paths.corpus, 'utf8'), paths.corpus);
});

whenMade('its models are bf16, have one tokenizer, and are small', async () => {
  const [student, teacher] = await Promise.all([paths.student, paths.teacher].map(loadTokenizer));
  assert.is(firstDifference(student!, teacher!), undefined);
  const files = [paths.student, paths.teacher].map((folder) => join(folder, 'model.safetensors'));
  assert.ok(files.reduce((sum, file) => sum + statSync(file).size, 0) < 8e6);
  for (const folder of [paths.student, paths.teacher]) {
    for (const { dtype } of openModelWeights(folder).values()) assert.is(dtype, 'BF16');
  }
});

whenMade('its teacher is better than its student, and helps', () => {
  const { seeds, student, teacher, cpt, cptKd } = readMiniatureResults();
  assert.is(cpt.nll.length, seeds.length);
  assert.ok(teacher < cptKd.mean);
  assert.ok(cptKd.mean < cpt.mean && cpt.mean < student);
});

index.run();
