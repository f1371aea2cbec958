import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { copyCheckpoint } from '#src/formats/checkpoint.js';
import {
  checkpointPath,
  listCheckpoints,
  pruneCheckpoints,
  publishFile,
  publishFolder,
  removeLeftovers,
} from '#src/formats/checkpointFiles.js';
import { inputErrorOf } from '../inputErrors.js';
import { temporaryFolder } from '../support.js';

const text = (path: string) => readFileSync(path, 'utf8');

test('a folder appears whole, under its name, with all it holds', async () => {
  const parent = join(temporaryFolder('publish'), 'made', 'on', 'demand');
  const target = checkpointPath(parent, 100);
  await publishFolder(target, async (folder) => {
    assert.not.ok(existsSync(target));
    mkdirSync(join(folder, 'nested'));
    await Promise.resolve();
    writeFileSync(join(folder, 'nested', 'file'), 'x');
  });
  assert.equal(readdirSync(parent), ['step-00000100']);
  assert.is(text(join(target, 'nested', 'file')), 'x');
});

test('names may be as long as the file system allows', async () => {
  const parent = temporaryFolder('publish');
  for (const letter of ['a', '\u{20ac}', '\u{1f600}']) {
    const name = letter.repeat(Math.floor(255 / Buffer.byteLength(letter)));
    publishFile(join(parent, name), [Buffer.from('x')]);
    assert.equal(readdirSync(parent), [name]);
    rmSync(join(parent, name));
    await publishFolder(join(parent, name), (folder) => writeFileSync(join(folder, 'file'), 'x'));
    assert.equal(readdirSync(parent), [name]);
    rmSync(join(parent, name), { recursive: true });
  }
});

test('a writer that fails leaves nothing, and its own error', async () => {
  const parent = temporaryFolder('publish');
  const write = (folder: string) => {
    writeFileSync(join(folder, 'half'), 'x');
    throw new Error('disk full');
  };
  for (const target of ['run', 'made/for it/run']) {
    await publishFolder(join(parent, target), write).then(
      () => assert.unreachable(),
      (error) => assert.is(error.message, 'disk full'),
    );
    assert.equal(readdirSync(parent), []);
  }
});

test('a published folder is never changed', async () => {
  const parent = temporaryFolder('publish');
  const target = join(parent, 'run');
  await publishFolder(target, (folder) => writeFileSync(join(folder, 'file'), 'first'));
  let called = false;
  const again = publishFolder(target, () => {
    called = true;
  });
  await again.then(
    () => assert.unreachable(),
    (error) => assert.match(error.message, /run: expected a folder that is not there/),
  );
  assert.not.ok(called);
  assert.is(text(join(target, 'file')), 'first');
});

test('a file is replaced whole or not at all', () => {
  const parent = temporaryFolder('publish');
  const path = join(parent, 'file');
  publishFile(path, [Buffer.from('one '), Buffer.alloc(0), Buffer.from('file')]);
  assert.is(text(path), 'one file');
  const failing = function* () {
    yield Buffer.from('half');
    assert.is(text(path), 'one file');
    throw new Error('no more');
  };
  assert.throws(() => publishFile(path, failing()), /no more/);
  assert.is(text(path), 'one file');
  assert.equal(readdirSync(parent), ['file']);
});

test('threads may write the same at the same time', async () => {
  const path = join(temporaryFolder('publish'), 'folder');
  const threads = [1, 2].map(
    () => new Worker(new URL('./publishThread.js', import.meta.url), { workerData: path }),
  );
  const places = await Promise.all(threads.map((thread) => once(thread, 'message')));
  await Promise.all(threads.map((thread) => thread.terminate()));
  assert.is(new Set(places.flat()).size, 2);
  for (const place of places.flat()) assert.match(place, /\.unfinished$/);
});

test('what an unfinished writer left is no checkpoint, and is removed', async () => {
  const parent = temporaryFolder('publish');
  await publishFolder(checkpointPath(parent, 1), (folder) => writeFileSync(join(folder, 'file'), 'x'));
  writeFileSync(join(parent, '.hidden'), 'of the user');
  let started = '';
  void publishFolder(checkpointPath(parent, 2), (folder) => {
    started = folder;
    writeFileSync(join(folder, 'half'), 'x');
    return new Promise(() => {});
  });
  assert.ok(existsSync(join(started, 'half')));
  assert.equal(
    listCheckpoints(parent).map(({ step }) => step),
    [1],
  );
  removeLeftovers(parent);
  assert.equal(readdirSync(parent).sort(), ['.hidden', 'step-00000001']);
  removeLeftovers(join(parent, 'absent'));
});

test('checkpoints are listed by step and pruned from the oldest', () => {
  const parent = temporaryFolder('publish');
  assert.equal(listCheckpoints(join(parent, 'absent')), []);
  const steps = [900, 1000, 20, 100_000_000, 99_999_999];
  for (const step of steps) mkdirSync(checkpointPath(parent, step));
  for (const other of ['step-1', 'step-0000010x', 'adapter', 'xstep-00000001'])
    mkdirSync(join(parent, other));
  const listed = () => listCheckpoints(parent).map(({ step }) => step);
  assert.equal(listed(), [20, 900, 1000, 99_999_999, 100_000_000]);
  assert.is(listCheckpoints(parent)[0]!.path, join(parent, 'step-00000020'));
  pruneCheckpoints(parent, 5);
  assert.is(listed().length, 5);
  pruneCheckpoints(parent, 2);
  assert.equal(listed(), [99_999_999, 100_000_000]);
  assert.is(readdirSync(parent).length, 6, 'other folders stay');
  pruneCheckpoints(parent, 0);
  assert.equal(listed(), []);
});

/** Runs a script that works in `parent` for ever, and kills it as soon as `isTime` of the steps it has told. */
async function killWhen(name: string, parent: string, isTime: (told: number) => boolean): Promise<void> {
  const script = fileURLToPath(new URL(name, import.meta.url));
  const child = spawn(process.execPath, [script, parent], { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  let told = 0;
  child.stdout.on('data', (data: Buffer) => {
    told += data.toString().split('\n').length - 1;
  });
  while (!isTime(told) && child.exitCode === null) await setImmediate();
  child.kill('SIGKILL');
  const [, signal] = await exited;
  assert.is(signal, 'SIGKILL');
}

test('kill -9 at any instant leaves whole checkpoints only', async () => {
  for (let round = 0; round < 10; round++) {
    const parent = temporaryFolder('kill');
    await killWhen('publishLoop.js', parent, (told) => told > round);
    const checkpoints = listCheckpoints(parent);
    assert.ok(checkpoints.length >= Math.min(2, 1 + round) && checkpoints.length <= 3);
    for (const { path, step } of checkpoints) {
      for (const name of ['a', 'b', 'c']) {
        assert.ok(
          readFileSync(join(path, name)).equals(Buffer.alloc(200_000, step % 251)),
          `${path}/${name}`,
        );
      }
    }
    const latest = readFileSync(join(parent, 'latest'));
    assert.ok(latest.equals(Buffer.alloc(200_000, latest[0])));
    removeLeftovers(parent);
    const names = [...checkpoints.map(({ step }) => `step-${String(step).padStart(8, '0')}`), 'latest'];
    assert.equal(readdirSync(parent).sort(), names.sort());
  }
});

/** Whether a folder of pruneLoop.js, under whatever name, has lost some of its files. */
function isHalfDeleted(parent: string): boolean {
  return readdirSync(parent).some((name) => {
    try {
      return name !== 'filling' && readdirSync(join(parent, name)).length < 2000;
    } catch {
      return false; // It vanished between the two readings.
    }
  });
}

test('kill -9 amid a deletion leaves no checkpoint with half its files', async () => {
  for (let round = 0; round < 4; round++) {
    const parent = temporaryFolder('kill');
    await killWhen('pruneLoop.js', parent, (told) => told > 0 && isHalfDeleted(parent));
    for (const { path } of listCheckpoints(parent)) assert.is(readdirSync(path).length, 2000);
  }
});

test('a checkpoint that is gone when it is to be copied is named, and leaves nothing', async () => {
  const folder = join(temporaryFolder('copy'), 'checkpoints');
  const state = { step: 3, tokens: 0, elapsedSeconds: 0, cursor: null, metricsBytes: 0 };
  const message = await inputErrorOf(() => copyCheckpoint(join(folder, 'step-00000003'), folder, state));
  assert.match(
    message,
    /step-00000003: expected the checkpoint to fork, found that its run has deleted it meanwhile; /,
  );
  assert.not(existsSync(folder));
});

test.run();
