import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readCheckpoint } from '#src/formats/checkpoint.js';
import { listCheckpoints } from '#src/formats/checkpointFiles.js';
import type { TrainInput } from '#src/options/train.js';
import { makeFixture } from '../fixtures.js';
import { flags, runProgram, startProgram } from './process.js';

/** Disks that are full or may not be written to: the run fails with one line, and its last checkpoint stays. */

const fixture = makeFixture('disk');
const options: TrainInput = {
  ...{
    student: fixture.student,
    data: [fixture.jsonl],
    batch: 2,
    sequence: 16,
    shuffleRows: 16,
    rank: 8,
    threads: 1,
  },
  ...{ steps: 1_000_000, evalFraction: 0, checkpointEvery: 20, keep: 1 },
};

/** A folder on a disk of its own, 1 MiB large; undefined where this process may not mount one. */
function smallDisk(): string | undefined {
  const folder = mkdtempSync(join(fixture.folder, 'small-'));
  const { status } = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', folder]);
  if (status !== 0) return undefined;
  process.on('exit', () => spawnSync('umount', ['-l', folder]));
  return folder;
}

const disk = smallDisk();

function assertOneError(stderr: string, expected: RegExp): void {
  const lines = stderr.trimEnd().split('\n');
  assert.match(lines.at(-1)!, expected);
  assert.is(lines.filter((line) => line.startsWith('error')).length, 1, stderr);
}

/** Room for the first checkpoint (about 80 kB) and its files beside it, not for a second one. */
const ROOM_BYTES = 130_000;

(disk ? test : test.skip)(
  'a disk that fills up: the checkpoint before stays and the run goes on from it',
  async () => {
    const { bavail, bsize } = statfsSync(disk!);
    writeFileSync(join(disk!, 'others'), Buffer.alloc(bavail * bsize - ROOM_BYTES));
    const out = join(disk!, 'run');
    const { code, stderr } = await runProgram('train', flags({ ...options, out }), { cwd: fixture.folder });
    assert.is(code, 1, stderr);
    assertOneError(
      stderr,
      /^error: .*ENOSPC.*; free some space, .* --resume; last good checkpoint: .*run\/checkpoints\/step-00000020$/,
    );
    assert.equal(readdirSync(join(out, 'checkpoints')), ['step-00000020']);
    const [checkpoint] = listCheckpoints(join(out, 'checkpoints'));
    assert.is(readCheckpoint(checkpoint!.path).state.step, 20);
    rmSync(join(disk!, 'others'));
    const args = flags({ out, resume: true });
    const { child, ended, printed } = startProgram('train', args, { cwd: fixture.folder });
    await printed(/resumed after step 20/);
    child.kill('SIGTERM');
    assert.is((await ended).code, 143);
  },
);

/** Root may write anywhere but to a file system that is mounted read-only. */
function readOnlyFolder(): string | undefined {
  const folder = mkdtempSync(join(fixture.folder, 'read-only-'));
  const { status } = spawnSync('mount', ['-t', 'tmpfs', '-o', 'ro', 'tmpfs', folder]);
  if (status !== 0) return undefined;
  process.on('exit', () => spawnSync('umount', ['-l', folder]));
  return folder;
}

const readOnly = readOnlyFolder();

/** The one line that a run to `out` fails with. */
async function refusal(out: string, code: number): Promise<string> {
  const args = flags({ ...options, steps: 1, out });
  const ending = await runProgram('train', args, { cwd: fixture.folder });
  assert.is(ending.code, code, ending.stderr);
  assert.is(ending.stdout, '');
  assertOneError(ending.stderr, /^error: --out: expected a folder/);
  return ending.stderr.trimEnd().split('\n').at(-1)!;
}

(readOnly ? test : test.skip)('an --out in a read-only folder: one line, exit 1', async () => {
  assert.is(
    await refusal(join(readOnly!, 'run'), 1),
    `error: --out: expected a folder to write to, found ${readOnly} (EROFS: read-only file system); ` +
      'check its permissions or choose another',
  );
});

/** Where the system makes no folders, whoever asks; nothing shows it beforehand, and `mkdir -p` of Node hangs. */
const unmakeable = '/proc/rivulet/run';

(existsSync('/proc/self') ? test : test.skip)('an --out that cannot be made: one line, exit 1', async () => {
  assert.match(
    await refusal(unmakeable, 1),
    /to write to, found \/proc\/rivulet\/run \(ENOENT: no such file or directory\); check its permissions or choose another$/,
  );
});

const isRoot = process.getuid?.() === 0;

(isRoot || process.platform === 'win32' ? test.skip : test)(
  'an --out in a folder of someone else: one line, exit 1',
  async () => {
    const folder = mkdtempSync(join(fixture.folder, 'locked-'));
    chmodSync(folder, 0o500);
    assert.match(await refusal(join(folder, 'run'), 1), /\(EACCES: permission denied\); /);
  },
);

test('an --out that is a file, or below one: one line, exit 2, nothing written', async () => {
  const file = join(fixture.folder, 'file');
  writeFileSync(file, 'kept');
  for (const out of [file, join(file, 'run'), join(file, 'deep', 'run')]) {
    assert.is(
      await refusal(out, 2),
      `error: --out: expected a folder, found a file at ${file}; choose another path`,
    );
  }
  assert.is(readFileSync(file, 'utf8'), 'kept');
});

test('an --out that another run is using: one line, exit 2, and the other one goes on', async () => {
  const out = join(fixture.folder, 'shared');
  const { child, ended, printed } = startProgram('train', flags({ ...options, out }), {
    cwd: fixture.folder,
  });
  await printed(/^step +\d+\//m);
  const resumed = await runProgram('train', flags({ out, resume: true }), { cwd: fixture.folder });
  child.kill('SIGTERM');
  assert.is(resumed.code, 2, resumed.stderr);
  assertOneError(
    resumed.stderr,
    /^error: --out: expected a folder that no other run is using, found one at work in /,
  );
  assert.is((await ended).code, 143);
});

test.run();
