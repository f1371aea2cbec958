import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { loadModel } from 'rivulet';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { readCheckpoint } from '#src/formats/checkpoint.js';
import { listCheckpoints } from '#src/formats/checkpointFiles.js';
import type { TrainInput } from '#src/options/train.js';
import { recordWorkers } from '../devices/recordWorkers.js';
import { makeFixture } from '../fixtures.js';
import { type Ending, flags, startProgram } from './process.js';

/** Threads that die: the run ends soon, says who died and when, and its checkpoints stay whole. */

const fixture = makeFixture('faults');
const LIMIT_MS = 5000;
const STEPS = 1_000_000;
const options: TrainInput = {
  ...{ student: fixture.student, teacher: fixture.teacher, data: [fixture.jsonl] },
  ...{ batch: 2, sequence: 16, shuffleRows: 16, threads: 2, steps: STEPS, evalEvery: 1, evalTokens: 64 },
  ...{ checkpointEvery: 2, out: 'run' },
};

interface Fault {
  readonly worker: string;
  readonly how: 'exit' | 'throw';
  readonly when: 'start' | 'step';
}

async function trainWith({ worker, how, when }: Fault): Promise<Ending & { run: string }> {
  const cwd = mkdtempSync(join(fixture.folder, 'faults-'));
  const env = { BREAK_WORKER: worker, BREAK_HOW: how, BREAK_WHEN: when };
  const imports = [import.meta.resolve('./breakWorker.js')];
  const { child, ended, printed } = startProgram('train', flags(options), { cwd, imports, env });
  await printed(/BROKEN NOW/);
  const timer = setTimeout(() => child.kill('SIGKILL'), LIMIT_MS);
  const ending = await ended;
  clearTimeout(timer);
  return { ...ending, run: join(cwd, 'run') };
}

const CAUSES = {
  exit: 'its thread exited with code [01]',
  throw: 'its thread failed: broken on purpose',
};

const test = suite('a thread that dies');

for (const worker of ['loader', 'teacher', 'student', 'evaluator']) {
  for (const [how, when] of [
    ['exit', 'step'],
    ['throw', 'step'],
    ['exit', 'start'],
    ['throw', 'start'],
  ] as const) {
    test(`${worker}: ${how} at ${when}`, async () => {
      const { code, signal, stderr, run } = await trainWith({ worker, how, when });
      assert.is(signal, null, `still alive after ${LIMIT_MS} ms: ${stderr}`);
      assert.is(code, 1, stderr);
      const lines = stderr.trimEnd().split('\n');
      const place = when === 'start' ? 'start' : 'step \\d+';
      const last = when === 'start' ? 'none' : '(none|run/checkpoints/step-\\d+)';
      // A thread that is terminated before it runs ends with 0.
      const expected = `^error: ${worker}, ${place}: ${CAUSES[how]}; last good checkpoint: ${last}$`;
      assert.match(lines.at(-1)!, new RegExp(expected));
      assert.is(lines.filter((line) => line.startsWith('error')).length, 1, stderr);
      for (const { path, step } of listCheckpoints(join(run, 'checkpoints'))) {
        assert.is(readCheckpoint(path).state.step, step);
      }
    });
  }
}

for (const [worker, how, when] of [
  ['compute 0', 'exit', 'step'],
  ['compute 0', 'throw', 'step'],
  ['compute 1', 'exit', 'step'],
  ['compute 1', 'exit', 'start'],
] as const) {
  test(`${worker}: ${how} at ${when}`, async () => {
    const { code, signal, stderr } = await trainWith({ worker, how, when });
    assert.is(signal, null, `still alive after ${LIMIT_MS} ms: ${stderr}`);
    assert.is(code, 1, stderr);
    const place = when === 'start' ? '' : '\\w+, step \\d+: ';
    // Whoever waits for the thread may see first that the way to it is closed.
    const found = `(compute thread ${worker.at(-1)} |the compute threads are gone)`;
    assert.match(stderr.trimEnd().split('\n').at(-1)!, new RegExp(`^error: ${place}${found}`));
  });
}

test('a model whose compute thread has died rejects, and closing it ends the others', async () => {
  const load = () => loadModel(fixture.student, { sequence: 16, threads: 2 });
  const { result: model, workers } = await recordWorkers(load);
  assert.is(workers.length, 2);
  // `once` would reject for the other thread, which fails when it sees the first one dead.
  const exits = workers.map((worker) => new Promise((resolve) => worker.once('exit', resolve)));
  await workers[0]!.terminate();
  const failure = await model.logits(Uint32Array.of(1, 2)).then(
    () => 'nothing',
    (error: Error) => error.message,
  );
  assert.match(failure, /compute thread/);
  await model.close();
  await Promise.all(exits);
});

test('a second SIGINT stops at once, amid a step', async () => {
  const cwd = mkdtempSync(join(fixture.folder, 'faults-'));
  const long = { ...options, batch: 4096, sequence: 128 };
  const { child, ended, printed } = startProgram('train', flags(long), { cwd });
  await printed(/memory/);
  child.kill('SIGINT');
  await printed(/SIGINT: saving what is trained/);
  const start = performance.now();
  child.kill('SIGINT');
  const { signal, stderr } = await ended;
  assert.is(signal, 'SIGINT', stderr);
  assert.ok(performance.now() - start < 2000);
  assert.not.match(stderr, /error/);
});

test.run();
