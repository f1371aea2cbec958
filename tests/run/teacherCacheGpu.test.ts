import { mkdtempSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TrainInput } from 'rivulet';
import * as assert from 'uvu/assert';
import { TeacherCache } from '#src/formats/teacherCache.js';
import type { MetricsRecord, StepRecord } from '#src/records.js';
import { gpuSuite } from '../devices/gpuDevice.js';
import { makeFixture } from '../fixtures.js';
import { adapterBytes, flags, runProgram } from './process.js';

/** A cache on the webgpu device: nothing is asked for twice, and runs over one cache are the same run. */

const fixture = makeFixture('teacher-cache-gpu');
const env = { RIVULET_SOFTWARE_GPU: '1', XDG_RUNTIME_DIR: '/tmp' };
const text = { data: [fixture.jsonl], sequence: 16, evalFraction: 0, threads: 1 };
const options: TrainInput = {
  ...{ student: fixture.student, teacher: fixture.teacher, ...text, packing: 'best-fit', device: 'webgpu' },
  ...{ batch: 4, microBatch: 2, shuffleRows: 16, steps: 4, rank: 4, lr: 1e-3, out: 'run' },
};
const cache = join(fixture.folder, 'cache');

interface Ran {
  readonly adapter: Buffer;
  readonly steps: readonly StepRecord[];
  readonly stderr: string;
}

async function run(change: Partial<TrainInput>): Promise<Ran> {
  const cwd = mkdtempSync(join(fixture.folder, 'run-'));
  const { code, stderr } = await runProgram('train', flags({ ...options, ...change }), { cwd, env });
  assert.is(code, 0, stderr);
  const lines = readFileSync(join(cwd, 'run/metrics.jsonl'), 'utf8').trimEnd().split('\n');
  const records = lines.map((line) => JSON.parse(line) as MetricsRecord);
  const steps = records.filter((record): record is StepRecord => record.type === 'step');
  return { adapter: adapterBytes(join(cwd, 'run')), steps, stderr };
}

const { tests, test } = gpuSuite('a cache on webgpu');

test('filled by the program; runs over it ask for nothing, are alike, and near the live run', async () => {
  const given = flags({ ...text, device: 'webgpu' });
  const { code, stderr } = await runProgram('cache', ['--model', fixture.teacher, ...given, '--out', cache], {
    cwd: fixture.folder,
    env,
  });
  assert.is(code, 0, stderr);
  assert.match((await TeacherCache.peek(cache))!.kernels, /^webgpu f(32|16)$/);
  const [live, one, two] = [
    await run({}),
    await run({ teacherCache: cache }),
    await run({ teacherCache: cache }),
  ];
  for (const { steps } of [one, two]) assert.ok(steps.every(({ teacher_tokens }) => teacher_tokens === 0));
  assert.ok(one.adapter.equals(two.adapter));
  one.steps.forEach(({ loss }, i) => {
    assert.ok(Math.abs(loss / live.steps[i]!.loss - 1) < 1e-5, `${loss} and ${live.steps[i]!.loss}`);
  });
});

test('a run that fills one is the live run', async () => {
  const [live, filling] = [await run({}), await run({ teacherCache: join(fixture.folder, 'filled') })];
  assert.ok(filling.adapter.equals(live.adapter));
});

test('on the CPU: all that is there is read, and a piece that is missing stops the run with one line', async () => {
  const onCpu = { device: 'wasm' as const, teacherCache: cache };
  const { steps } = await run(onCpu);
  assert.ok(steps.every(({ teacher_tokens }) => teacher_tokens === 0));
  const cwd = mkdtempSync(join(fixture.folder, 'run-'));
  const other = flags({ ...options, ...onCpu, data: [fixture.text] });
  const { code, stderr } = await runProgram('train', other, { cwd, env });
  assert.is(code, 1);
  assert.match(stderr, /of webgpu f\d+ kernels: the run stops where a piece is missing/);
  assert.match(
    stderr,
    /^error: teacher, step 1: --teacher-cache: expected all of the text in .* missing; fill it on such a device/m,
  );
});

tests.run();
