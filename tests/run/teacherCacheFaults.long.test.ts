import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { type TrainInput, train } from 'rivulet';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { TeacherCache } from '#src/formats/teacherCache.js';
import { makeFixture, STUDENT, TEACHER, writeModel } from '../fixtures.js';
import { inputErrorOf } from '../inputErrors.js';
import { adapterBytes, type Ending, flags, runProgram, startProgram } from './process.js';

/** Caches that are damaged, of something else, on full disks, filled by several and by killed ones: one line each. */

const fixture = makeFixture('teacher-cache-faults');
const freshFolder = () => mkdtempSync(join(fixture.folder, 'cache-'));
const options: TrainInput = {
  ...{ student: fixture.student, teacher: fixture.teacher, data: [fixture.jsonl], packing: 'best-fit' },
  ...{ batch: 4, microBatch: 2, sequence: 16, shuffleRows: 16, evalFraction: 0, rank: 4, steps: 6 },
  ...{ device: 'wasm', threads: 1, checkpointEvery: 2, keep: 9, out: 'run' },
};

const trainIn = (cwd: string, change: Partial<TrainInput>) =>
  runProgram('train', flags({ ...options, ...change }), { cwd });

function fill(out: string, cwd = freshFolder()): Promise<Ending> {
  const { sequence, data, evalFraction, device, threads } = options;
  const given = flags({ data, sequence, evalFraction, device, threads, out });
  return runProgram('cache', ['--model', fixture.teacher, ...given], { cwd });
}

function assertOneError({ code, stderr }: Ending, expectedCode: number, expected: RegExp): void {
  assert.is(code, expectedCode, stderr);
  const errors = stderr.split('\n').filter((line) => line.startsWith('error'));
  assert.is(errors.length, 1, stderr);
  assert.match(errors[0]!, expected);
}

const liveIn = freshFolder();
assert.is((await trainIn(liveIn, {})).code, 0);
const live = adapterBytes(join(liveIn, 'run'));
const assertLive = (cwd: string) =>
  assert.ok(adapterBytes(join(cwd, 'run')).equals(live), 'the bytes of the live run');

const whole = join(freshFolder(), 'cache');

const several = suite('several writers');

several(
  'two programs fill one folder at once, a run beside them: each is done, and all is whole',
  async () => {
    const cwd = freshFolder();
    const endings = await Promise.all([fill(whole), fill(whole), trainIn(cwd, { teacherCache: whole })]);
    for (const { code, stderr } of endings) assert.is(code, 0, stderr);
    assertLive(cwd);
    const identity = (await TeacherCache.peek(whole))!;
    await TeacherCache.open(whole, identity);
    assert.equal(
      readdirSync(whole).filter((name) => name.startsWith('.')),
      [],
    );
  },
);

several('a run that is killed as it fills one, and resumed: the bytes of the live run', async () => {
  const cwd = freshFolder();
  const change = { teacherCache: 'cache', steps: 6, checkpointEvery: 1 };
  const { child, ended, printed } = startProgram('train', flags({ ...options, ...change }), { cwd });
  await printed(/^step +1\//m);
  child.kill('SIGKILL');
  await ended;
  const { code, stderr } = await trainIn(cwd, { ...change, resume: true });
  assert.is(code, 0, stderr);
  assertLive(cwd);
});

several.run();

const refused = suite('refused');

/** A copy of the whole cache, and the path of its first segment. */
function copied(): { readonly cache: string; readonly segment: string } {
  const cache = join(freshFolder(), 'cache');
  cpSync(whole, cache, { recursive: true });
  const [name] = readdirSync(cache).filter((file) => file.endsWith('.safetensors'));
  return { cache, segment: join(cache, name!) };
}

refused('states that were changed: file and byte, and once the file is deleted the run goes on', async () => {
  const { cache, segment } = copied();
  const bytes = readFileSync(segment);
  const states = 8 + Number(bytes.readBigUInt64LE());
  for (let at = states; at < bytes.length; at += 32) bytes[at]! ^= 4;
  writeFileSync(segment, bytes);
  const cwd = freshFolder();
  const ending = await trainIn(cwd, { teacherCache: cache });
  const expected = `^error: ${segment}: byte \\d+: expected .* as they were written, found others; delete`;
  assertOneError(ending, 2, new RegExp(expected));
  rmSync(segment);
  const { code, stderr } = await trainIn(cwd, { teacherCache: cache, resume: true });
  assert.is(code, 0, stderr);
  assertLive(cwd);
});

refused('a header that was changed: before anything is written', async () => {
  const { cache, segment } = copied();
  const bytes = readFileSync(segment);
  bytes[20]! ^= 1;
  writeFileSync(segment, bytes);
  const cwd = freshFolder();
  assertOneError(
    await trainIn(cwd, { teacherCache: cache }),
    2,
    /: expected a segment of a teacher cache as it was written, found/,
  );
  assert.equal(readdirSync(cwd), []);
});

const teacher = writeModel(join(fixture.folder, 'other-teacher'), TEACHER, 77);
const wider = writeModel(join(fixture.folder, 'wider'), { ...STUDENT, hidden_size: 48 }, 5);
for (const [name, change, message] of [
  [
    'another teacher',
    { teacher },
    /: expected hidden states of teacher \(hash\) \w{16}, found those of \w{16}; /,
  ],
  ['a wider teacher', { teacher: wider }, /: expected hidden states of teacher \(hash\) /],
  ['another cut', { sequence: 17 }, /: expected hidden states of --sequence 17, found those of 16; /],
  ['another type', { teacherCacheDtype: 'bf16' }, /of --teacher-cache-dtype bf16, found those of f32; /],
  [
    'stream packing',
    { packing: 'stream' },
    /^--packing: expected best-fit with --teacher-cache, found stream, /,
  ],
  [
    'no teacher',
    { teacher: 'none' },
    /^--teacher-cache: expected --teacher MODEL with it, found --teacher none; /,
  ],
  [
    'a file',
    { teacherCache: fixture.text },
    /^--teacher-cache: expected a folder, found a file at .*; choose another path$/,
  ],
  [
    'a path below a file',
    { teacherCache: join(fixture.text, 'cache') },
    /found a file at .*text\.txt; choose/,
  ],
] as [string, Partial<TrainInput>, RegExp][]) {
  refused(`${name}: one line, and nothing is written`, async () => {
    const out = join(freshFolder(), 'run');
    const { finished } = train({ ...options, teacherCache: whole, out, ...change });
    assert.match(await inputErrorOf(() => finished), message);
    assert.not(existsSync(out));
  });
}

refused.run();

const disks = suite('disks');

function disk(settings: string): string | undefined {
  const folder = mkdtempSync(join(fixture.folder, 'disk-'));
  const { status } = spawnSync('mount', ['-t', 'tmpfs', '-o', settings, 'tmpfs', folder]);
  if (status !== 0) return undefined;
  process.on('exit', () => spawnSync('umount', ['-l', folder]));
  return folder;
}

const small = disk('size=64k');
const readOnly = disk('ro');
const test = (folder: string | undefined) => (folder === undefined ? (disks.skip as typeof disks) : disks);

test(small)('a disk that is full: training tells it once and goes on; the program cache stops', async () => {
  const { bavail, bsize } = statfsSync(small!);
  writeFileSync(join(small!, 'others'), Buffer.alloc((bavail - 1) * bsize));
  const cwd = freshFolder();
  const { code, stderr } = await trainIn(cwd, { teacherCache: join(small!, 'cache') });
  assert.is(code, 0, stderr);
  const warnings = stderr.split('\n').filter((line) => line.startsWith('warning'));
  assert.is(warnings.length, 1, stderr);
  assert.match(
    warnings[0]!,
    /--teacher-cache: expected to write to .*, found ENOSPC; training goes on, and no more /,
  );
  assertLive(cwd);
  assertOneError(await fill(join(small!, 'cache')), 1, /found ENOSPC; what was stored before is whole: /);
  assert.equal(readdirSync(join(small!, 'cache')), []);
});

test(readOnly)('a folder that is read-only: what is there is read, what is missing is not kept', async () => {
  spawnSync('mount', ['-o', 'remount,rw', readOnly!]);
  cpSync(whole, readOnly!, { recursive: true });
  spawnSync('mount', ['-o', 'remount,ro', readOnly!]);
  const cwd = freshFolder();
  const complete = await trainIn(cwd, { teacherCache: readOnly! });
  assert.is(complete.code, 0, complete.stderr);
  assert.not.match(complete.stderr, 'warning');
  assertLive(cwd);
  const more = await trainIn(freshFolder(), { teacherCache: readOnly!, data: [fixture.text] });
  assert.is(more.code, 0, more.stderr);
  assert.match(
    more.stderr,
    /^warning: --teacher-cache: expected to write to .*, found EROFS; training goes on/m,
  );
});

disks.run();
