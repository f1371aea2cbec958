import { evaluate, generate, loadModel, train } from 'rivulet';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { ProgressRecord } from '#src/records.js';
import { startingLine } from '#src/report/starting.js';
import { gpuSuite } from '../devices/gpuDevice.js';
import { makeFixture } from '../fixtures.js';

const fixture = makeFixture('starting');

test('a line says what is done and how far it is', () => {
  const line = (record: Omit<ProgressRecord, 'type'>) => startingLine({ type: 'progress', ...record });
  assert.is(line({ doing: 'finding text' }), 'finding text');
  assert.is(line({ doing: 'reading text', done: 12345, unit: 'tokens' }), 'reading text  12,345 tokens');
  const loading = { doing: 'loading the student', done: 1024, total: 2048, unit: 'MiB' } as const;
  assert.is(line(loading), 'loading the student  1,024 of 2,048 MiB');
});

test('a run tells what it does before its first step, and metrics.jsonl does not', async () => {
  const run = train({
    ...{ student: fixture.student, data: [fixture.jsonl], out: `${fixture.folder}/starting` },
    ...{ batch: 2, sequence: 16, steps: 1, device: 'wasm', threads: 1, evalFraction: 0 },
  });
  const seen: string[] = [];
  run.metrics$.subscribe((record) => {
    seen.push(record.type === 'progress' ? startingLine(record) : record.type);
  });
  await run.finished;
  // Actors tell at ports of their own, so that theirs may come a little late.
  const known = seen.filter((line) => !/^(reading text|compiling|loading)/.test(line));
  assert.equal(known, [
    ...['starting the device', 'reading models', 'finding text', 'planning'],
    ...['start', 'step', 'checkpoint', 'end'],
  ]);
  assert.ok(seen.includes('compiling the student') && seen.includes('loading the student  0 of 0 MiB'));
});

const { student: model } = fixture;
const PLACE = { device: 'wasm', threads: 1, sequence: 16 } as const;
const LOADED = 'loading the model  0 of 0 MiB';

for (const [name, start] of [
  ['loadModel', (onStarting) => loadModel(model, { ...PLACE, onStarting }).then((loaded) => loaded.close())],
  ['evaluate', (onStarting) => evaluate({ ...PLACE, model, perplexity: fixture.jsonl }, { onStarting })],
  [
    'generate',
    (onStarting) =>
      generate({ device: 'wasm', threads: 1, model, prompt: 'a', maxTokens: 3 }, { onStarting }).forEach(
        () => {},
      ),
  ],
] as readonly [string, (onStarting: (record: ProgressRecord) => void) => Promise<unknown>][]) {
  test(`${name} tells how far the model is, to the end`, async () => {
    const seen: ProgressRecord[] = [];
    await start((record) => seen.push(record));
    assert.is(startingLine(seen.at(-1)!), LOADED);
    assert.is(seen.at(-1)!.done, seen.at(-1)!.total);
  });
}

test.run();

const gpu = gpuSuite('starting on webgpu');
process.env.RIVULET_SOFTWARE_GPU = '1';

gpu.test('tells how many kernels are made of each model', async () => {
  const run = train({
    ...{ student: fixture.student, teacher: fixture.teacher, data: [fixture.jsonl] },
    ...{ out: `${fixture.folder}/starting-webgpu`, batch: 2, sequence: 16, steps: 1, device: 'webgpu' },
    evalFraction: 0,
  });
  const seen: ProgressRecord[] = [];
  run.metrics$.subscribe((record) => {
    if (record.type === 'progress' && record.unit === 'kernels') seen.push(record);
  });
  await run.finished;
  for (const doing of ['compiling the student', 'compiling the teacher'] as const) {
    const of = seen.filter((record) => record.doing === doing);
    assert.ok(of.length > 0, doing);
    assert.is(of.at(-1)!.done, of.at(-1)!.total);
    assert.ok(of.every(({ done, total }, i) => i === 0 || total! > done! || i === of.length - 1));
  }
});

gpu.test('tells how many kernels are made of the only model', async () => {
  const seen: ProgressRecord[] = [];
  const onStarting = (record: ProgressRecord) => seen.push(record);
  await (
    await loadModel(model, { device: 'webgpu', tune: 'off', sequence: 16, context: 9, onStarting })
  ).close();
  const compiling = seen.filter(({ doing }) => doing === 'compiling the model');
  assert.ok(compiling.length > 0);
  assert.is(compiling.at(-1)!.done, compiling.at(-1)!.total);
  assert.is(startingLine(seen.at(-1)!), LOADED);
});

gpu.tests.run();
