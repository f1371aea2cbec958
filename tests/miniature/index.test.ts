import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { DOCUMENTS, makeCorpora } from '#recipes/miniature/corpora.js';
import { writeTexts } from '#recipes/miniature/texts.js';
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
  const { corpus, heldOut, general, puzzles, arithmetic } = elsewhere;
  for (const file of [corpus, heldOut, general, puzzles, arithmetic]) writeFileSync(file, '');
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
  const made = miniaturePaths(temporaryFolder('miniature'));
  writeTexts(made, makeCorpora(DOCUMENTS));
  for (const name of ['heldOut', 'corpus', 'general', 'puzzles', 'arithmetic'] as const) {
    assert.ok(readFileSync(made[name], 'utf8') === readFileSync(paths[name], 'utf8'), paths[name]);
  }
  const bytes = [paths.general, paths.puzzles, paths.arithmetic].map((path) => statSync(path).size);
  assert.ok(bytes.reduce((sum, size) => sum + size, 0) < 250e3);
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
