import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { gpuSuite } from '../devices/gpuDevice.js';
import { projectRoot, temporaryFolder } from '../support.js';

/**
 * bench/sitting.sh as it runs on a machine that was lent: from what was built and the production packages alone, in an
 * empty folder, without network, git and development packages. Cut down, on a GPU that is a program.
 */

interface Measure {
  readonly measure: string;
  readonly value: number | null;
  readonly peer: number | null;
  readonly ratio: number | null;
  readonly goal: number | null;
  readonly verdict: string;
}

interface Summary {
  readonly adapter: string;
  readonly commit: string;
  readonly parts: readonly { part: string; status: string; note: string; seconds: number }[];
  readonly measures: readonly Measure[];
}

const read = (...path: string[]) => readFileSync(join(...path), 'utf8');
const app = temporaryFolder('sitting');
const programs = join(app, 'programs');

function pack(): void {
  const lock = JSON.parse(read(projectRoot, 'package-lock.json')) as {
    packages: Record<string, { dev?: boolean }>;
  };
  const production = Object.entries(lock.packages).filter(([path, { dev }]) => path !== '' && !dev);
  for (const path of ['package.json', 'dist', 'build', ...production.map(([name]) => name)]) {
    const from = join(projectRoot, path);
    // An optional package of another system is not there.
    cpSync(from, join(app, path), { recursive: true, dereference: true, errorOnExist: false });
  }
}

/** The peer's torch, if the environment of the tests with PEFT has been made. */
const environment = join(
  process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'),
  'rivulet/interop/bin/python',
);
const python = [environment, 'python3'].find((name) => spawnSync(name, ['--version']).status === 0);
const hasTorch = python !== undefined && spawnSync(python, ['-c', 'import torch']).status === 0;
console.log(python === undefined ? 'no Python: the peer is skipped' : `torch: ${hasTorch}`);

/** All that a sitting may find on PATH. */
function linkPrograms(): void {
  mkdirSync(programs);
  symlinkSync(process.execPath, join(programs, 'node'));
  if (python === undefined) return;
  const { stdout } = spawnSync(python, ['-c', 'import sys; print(sys.executable)'], { encoding: 'utf8' });
  writeFileSync(join(programs, 'python3'), `#!/bin/sh\nexec ${stdout.trim()} "$@"\n`, { mode: 0o755 });
}

/** Not on the PATH of a sitting. */
const UNSHARE = '/usr/bin/unshare';

/** Twice as fast with chunks as without. */
const PEER = `
import json, sys
given = dict(zip(sys.argv[1::2], sys.argv[2::2]))
assert set(given) - {"--teacher"} == {"--shape", "--device", "--impl", "--loss", "--batch", "--sequence", "--rank"}, given
speed = 20 if given["--loss"] == "chunked" else 10
print(json.dumps({"tokens_per_s_best": speed, "tokens_per_s_median": speed, "peak_gib": 0.5}))
`;

function sit(out: string, env: NodeJS.ProcessEnv = {}): Summary {
  const peer = join(app, 'peer.py');
  writeFileSync(peer, PEER);
  const isolated = spawnSync(UNSHARE, ['-n', 'true']).status === 0 ? [UNSHARE, '-n'] : [];
  console.log(isolated.length > 0 ? 'without a network' : 'the network could not be cut off');
  const [program, ...args] = [...isolated, '/bin/bash', 'build/bench/sitting.sh', out, peer];
  const { status, stdout, stderr } = spawnSync(program!, args, {
    cwd: app,
    encoding: 'utf8',
    env: {
      ...{ HOME: app, XDG_RUNTIME_DIR: '/tmp', RIVULET_SOFTWARE_GPU: '1', RIVULET_SITTING: 'small' },
      ...{ ...env, PATH: programs },
      ...(process.env.VK_DRIVER_FILES && { VK_DRIVER_FILES: process.env.VK_DRIVER_FILES }),
    },
  });
  assert.is(status, 0, stderr);
  assert.match(stdout, 'joint step');
  assert.is(stdout.split('\n\n').slice(1).join('\n\n'), read(out, 'summary.txt'));
  return JSON.parse(read(out, 'summary.json')) as Summary;
}

const { tests, test } = gpuSuite('a sitting');

tests.before(() => {
  pack();
  linkPrograms();
});

test('from an empty folder every part runs, and the summary has all numbers', () => {
  const out = join(app, 'out');
  const { parts, measures, commit } = sit(out);
  const notOk = parts.filter(({ status }) => status !== 'ok').map(({ part, note }) => `${part}: ${note}`);
  const allowed = hasTorch
    ? /^$/
    : python === undefined
      ? /-torch/
      : /^matmul-torch: .*No module named 'torch'/;
  assert.equal(
    notOk.filter((text) => !allowed.test(text)),
    [],
  );
  assert.ok(parts.length >= 14);
  // What is recorded when benches are built; git is not there.
  assert.is(commit, read(app, 'build/bench/commit').trim());

  const found = (start: string) => measures.filter(({ measure }) => measure.startsWith(start));
  // nvidia-smi tells the one; in the other a table of 32,000 columns is more than software has in a binding.
  const absent = measures.filter(({ value }) => value === null).map(({ measure }) => measure);
  const mayBeAbsent = ['linear 2048 x 288 x 32000', 'memory of the joint step, in use'];
  assert.equal(
    absent.filter((measure) => !mayBeAbsent.includes(measure)),
    [],
  );
  assert.ok(measures.every(({ value }) => value === null || (Number.isFinite(value) && value >= 0)));
  assert.ok(found('linear').length >= 13 && found('attention').length === 2);
  for (const start of ['op tests', 'cross-entropy', 'bits of two runs']) {
    assert.equal(
      found(start).map(({ verdict }) => verdict),
      ['pass'],
      start,
    );
  }
  if (python === undefined) return;
  const [joint] = found('joint step');
  assert.is(joint!.peer, 20, 'the better of both');
  assert.is(joint!.ratio, joint!.value! / 20);
  assert.is(joint!.verdict, joint!.ratio! >= 1 ? 'pass' : joint!.ratio! >= 0.4 ? 'below goal' : 'fail');
  if (hasTorch) assert.ok(found('linear 512').every(({ ratio, goal }) => ratio! > 0 && goal === 0.5));
});

test('results are written as they come, by part', () => {
  const lines = read(app, 'out', 'results.jsonl')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { part: string; name: string });
  const ended = lines.filter(({ name }) => name === 'part').map(({ part }) => part);
  const { parts } = JSON.parse(read(app, 'out', 'summary.json')) as Summary;
  assert.equal(
    ended,
    parts.map(({ part }) => part),
  );
  assert.ok(lines.findIndex(({ name }) => name === 'ops') < lines.findIndex(({ name }) => name === 'step'));
  assert.match(read(app, 'out', 'log.txt'), /^== tuning: .*--tune full/m);
});

test('at the deadline the part that runs is stopped, and the others are skipped with a line', () => {
  const seconds = 4;
  const begin = performance.now();
  const { parts, measures } = sit(join(app, 'late'), { RIVULET_SITTING_SECONDS: String(seconds) });
  const took = (performance.now() - begin) / 1000;
  assert.ok(took < seconds + 3, `took ${took} s`);
  const [adapter, ops, ...others] = parts;
  assert.equal([adapter!.status, ops!.status], ['ok', 'stopped']);
  assert.match(ops!.note, /^took more than \d s$/);
  assert.ok(others.every(({ status, note }) => status === 'skipped' && note === 'no time was left'));
  const joint = measures.find(({ measure }) => measure === 'joint step');
  assert.is(joint!.verdict, 'not measured');
});

tests.run();
