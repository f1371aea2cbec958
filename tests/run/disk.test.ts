import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readCheckpoint } from '#src/formats/checkpoint.js';
import { listCheckpoints } from '#src/formats/checkpointFiles.js';
import type { TrainInput } from '#src/options.js';
import { makeFixture } from '../fixtures.js';
import { flags, runProgram, startProgram } from './process.js';

/** Disks that are full or may not be written to: the run fails with one line, and its last checkpoint stays. */

const fixture = makeFixture('disk');
const options: TrainInput = {
  ...{ student: fixture.student, data: [fixture.jsonl], batch: 2, sequence: 16, rank: 8, threads: 1 },
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
    assertOneError(stderr, /^error: .*ENOSPC.*; last good checkpoint: .*run\/checkpoints\/step-00000020$/);
    assert.equal(readdirSync(join(out, 'checkpoints')), ['step-00000020']);
    const [checkpoint] = listCheckpoints(join(out, 'checkpoints'));
    assert.is(readCheckpoint(checkpoint!.path).state.step, 20);
    rmSync(join(disk!, 'others'));
    const args = flags({ out, resume: true });
    const { child, ended, printed } = startProgram('train', args, { cwd: fixture.folder });
    await printed(/resumed after step 20/);
    child.kill('SIGTERM');
    assert.is((await ended).code, 0);
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

(readOnly ? test : test.skip)('an --out in a read-only folder: one line, exit 1', async () => {
  const args = flags({ ...options, steps: 1, out: join(readOnly!, 'run') });
  const { code, stderr } = await runProgram('train', args, { cwd: fixture.folder });
  assert.is(code, 1, stderr);
  assertOneError(stderr, /^error: .*(EROFS|read-only)/);
});

test('an --out below a file: one line, exit 1', async () => {
  const file = join(fixture.folder, 'file');
  writeFileSync(file, '');
  const args = flags({ ...options, steps: 1, out: join(file, 'run') });
  const { code, stderr } = await runProgram('train', args, { cwd: fixture.folder });
  assert.is(code, 1, stderr);
  assertOneError(stderr, /^error: .*ENOTDIR/);
});

test.run();
