import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { writeAdapter } from '#src/formats/adapter.js';
import { adapterConfig, type LoraOptions, loraShapes, TARGET_MODULES } from '#src/model/lora.js';
import { openModelFiles } from '#src/model/modelFiles.js';
import { makeFixture } from '../fixtures.js';
import { floatSource, numbers } from '../formats/tensors.js';
import { projectRoot } from '../support.js';
import { runProgram } from './process.js';

/** `merge` as a program: what it prints, and that an early end leaves nothing behind. */

const fixture = makeFixture('merge-program');
const fresh = () => mkdtempSync(join(fixture.folder, 'case-'));
const LORA: LoraOptions = {
  ...{ rank: 2, alpha: 4, rsLora: false, dropout: 0, targetModules: TARGET_MODULES },
};
const shapes = [...loraShapes(openModelFiles(fixture.student).config, LORA)];
const adapter = join(fixture.folder, 'adapter');
await writeAdapter(
  adapter,
  adapterConfig(LORA, fixture.student),
  shapes.map(([name, shape], i) => floatSource(name, shape, numbers({ shape }, i))),
);
const args = ['--model', fixture.student, '--adapter', adapter];

const test = suite('merge as a program');

test('adapters one after the other or together; what is made and how to score it, or JSON', async () => {
  const cwd = fresh();
  const plain = await runProgram('merge', [...args, '--out', 'merged'], { cwd });
  assert.is(plain.code, 0, plain.stderr);
  assert.is(plain.stderr, '');
  assert.match(
    plain.stdout,
    /^merged: 14 of 20 tensors merged \(.* s\); to score it:\n {2}node .*evaluate\.js /,
  );
  assert.match(plain.stdout, / --model merged --perplexity PATH\n$/);
  const others = ['--adapter', `${adapter}:0.5`, `${adapter}:-1`, '--out', 'other', '--json'];
  const json = await runProgram('merge', [...args, ...others], { cwd });
  assert.is(json.code, 0, json.stderr);
  const { seconds, ...result } = JSON.parse(json.stdout);
  assert.equal(result, { folder: 'other', merged: 14, tensors: 20, bytes: result.bytes });
  assert.ok(seconds > 0 && result.bytes > 50_000);
  assert.equal(readdirSync(cwd).sort(), ['merged', 'other']);
});

test('Ctrl-C leaves nothing behind', async () => {
  const cwd = fresh();
  const imports = [join(projectRoot, 'build/tests/run/interrupted.js')];
  const { code, stderr } = await runProgram('merge', [...args, '--out', 'a/merged'], { cwd, imports });
  assert.is(code, 1, stderr);
  assert.is(stderr, 'error: expected to merge all weights, found a signal to stop\n');
  assert.equal(readdirSync(cwd), []);
});

/** A folder on a disk of its own with room for a part of the model; undefined where this process may not mount one. */
function smallDisk(): string | undefined {
  const folder = fresh();
  const { status } = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=48k', 'tmpfs', folder]);
  if (status !== 0) return undefined;
  process.on('exit', () => spawnSync('umount', ['-l', folder]));
  return folder;
}

const disk = smallDisk();

(disk ? test : test.skip)('a disk that is full leaves nothing behind', async () => {
  const out = join(disk!, 'a', 'merged');
  const { code, stdout, stderr } = await runProgram('merge', [...args, '--out', out], { cwd: fresh() });
  assert.is(code, 1, stderr);
  assert.is(stdout, '');
  assert.match(
    stderr,
    /^error: --out: expected room for the 1 MiB of .*ENOSPC.*; free some space or choose another folder\n$/,
  );
  assert.equal(readdirSync(disk!), []);
});

/** Where the system makes no folders, whoever asks; nothing shows it beforehand. */
(process.platform === 'linux' ? test : test.skip)(
  'a place that takes no folders: one line, exit 1',
  async () => {
    for (const out of ['/proc/merged', '/proc/a/merged']) {
      const { code, stderr } = await runProgram('merge', [...args, '--out', out], { cwd: fresh() });
      assert.is(code, 1, stderr);
      assert.match(
        stderr,
        /^error: --out: expected a folder to write to, found .*ENOENT.*; check its permissions .*\n$/,
      );
    }
  },
);

test.run();
