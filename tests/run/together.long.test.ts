import { mkdirSync, mkdtempSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { takeRunFolder } from '#src/formats/runFolder.js';
import { makeFixture } from '../fixtures.js';
import { inputErrorOf } from '../inputErrors.js';
import { flags, runProgram } from './process.js';
import { startInOneFolder, startTogether } from './together.js';

/** Every run has a folder of its own. */

const fixture = makeFixture('together');

test('three runs at once without --out', () => startTogether(fixture, 3));

test('two runs at once in one folder', () => startInOneFolder(fixture));

test('a folder that was made for a run that wrote nothing is taken away, one that was there is not', async () => {
  const parent = mkdtempSync(join(fixture.folder, 'taken-'));
  const made = await takeRunFolder(join(parent, 'a/b'), false);
  assert.match(
    await inputErrorOf(() => takeRunFolder(join(parent, 'a/b'), false)),
    'that no other run is using',
  );
  made.release();
  assert.equal(readdirSync(parent), []);
  mkdirSync(join(parent, 'mine'));
  (await takeRunFolder(join(parent, 'mine'), false)).release();
  assert.equal(readdirSync(parent), ['mine']);
  const used = await takeRunFolder(join(parent, 'c'), false);
  writeFileSync(join(used.path, 'run.json'), '{}');
  used.release();
  assert.equal(readdirSync(parent).sort(), ['c', 'mine']);
  assert.match(
    await inputErrorOf(() => takeRunFolder(join(parent, 'c'), false)),
    'without a run, found one in',
  );
});

test('a file called runs: one line, exit 2', async () => {
  const cwd = mkdtempSync(join(fixture.folder, 'taken-'));
  writeFileSync(join(cwd, 'runs'), 'kept');
  const args = flags({ student: fixture.student, data: [fixture.text] });
  const { code, stderr } = await runProgram('train', args, { cwd });
  assert.is(code, 2);
  assert.is(stderr, 'error: --out: expected a folder for runs, found a file called runs; give --out\n');
});

test('wrong input leaves no folder', async () => {
  const cwd = mkdtempSync(join(fixture.folder, 'taken-'));
  const args = flags({ student: fixture.student, data: ['nowhere.txt'] });
  assert.is((await runProgram('train', args, { cwd })).code, 2);
  assert.equal(readdirSync(cwd), []);
});

test.run();
