import { cpSync, mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { train as trainInProcess } from 'rivulet';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readCheckpoint } from '#src/formats/checkpoint.js';
import { listCheckpoints } from '#src/formats/checkpointFiles.js';
import { openSafetensors, readFloat32, writeSafetensors } from '#src/formats/safetensors.js';
import type { TrainInput } from '#src/options/train.js';
import { makeFixture, TEACHER } from '../fixtures.js';
import { type Ending, flags, runProgram, timelessMetrics } from './process.js';

const fixture = makeFixture('nan');
const base: TrainInput = {
  student: fixture.student,
  data: [fixture.jsonl],
  batch: 4,
  microBatch: 2,
  sequence: 16,
  shuffleRows: 16,
  steps: 6,
  evalFraction: 0,
  checkpointEvery: 1,
  threads: 1,
  out: 'run',
};

async function train(options: Partial<TrainInput>): Promise<{ ending: Ending; run: string; error: string }> {
  const cwd = mkdtempSync(join(fixture.folder, 'nan-'));
  const ending = await runProgram('train', flags({ ...base, ...options }), { cwd });
  const [error, ...more] = ending.stderr.split('\n').filter((line) => line.startsWith('error: '));
  assert.equal(more, []);
  return { ending, run: join(cwd, 'run'), error: error ?? '' };
}

/** A copy of a model with one infinite weight. @returns its folder */
function withInfinity(model: string, tensor: string, index: number): string {
  const folder = mkdtempSync(join(fixture.folder, 'infinite-'));
  cpSync(model, folder, { recursive: true });
  const path = join(folder, 'model.safetensors');
  const tensors = [...openSafetensors(path).tensors].map(([name, info]) => {
    const data = readFloat32(info);
    if (name === tensor) data[index] = Number.POSITIVE_INFINITY;
    return [name, { dtype: 'F32', shape: info.shape, data }] as const;
  });
  writeSafetensors(path, new Map(tensors));
  return folder;
}

test('a learning rate that explodes: step, documents and last checkpoint in one line, exit 1', async () => {
  const { ending, run, error } = await train({ lr: 1e30, warmup: 0 });
  assert.is(ending.code, 1, ending.stderr);
  assert.match(error, /^error: student, step 2: expected finite losses, found \d+ that are not/);
  assert.match(error, /documents \S*documents\.jsonl:\d+/);
  assert.match(error, /last good checkpoint: run\/checkpoints\/step-00000001$/);
  assert.is(ending.stderr.trimEnd().split('\n').at(-1), error, 'nothing comes after the error');
  const checkpoints = listCheckpoints(join(run, 'checkpoints'));
  assert.equal(
    checkpoints.map(({ step }) => step),
    [1],
  );
  assert.is(readCheckpoint(checkpoints[0]!.path).state.step, 1);
  assert.is(timelessMetrics(run).length, 3);
});

test('infinite weights: no step is taken and there is no checkpoint', async () => {
  const { ending, run, error } = await train({
    student: withInfinity(fixture.student, 'model.norm.weight', 3),
  });
  assert.is(ending.code, 1, ending.stderr);
  assert.match(error, /^error: student, step 1: .*last good checkpoint: none$/);
  assert.equal(listCheckpoints(join(run, 'checkpoints')), []);
});

test('a held-out loss that is not finite: the evaluator says so', async () => {
  const { ending, error } = await train({ lr: 1e30, warmup: 0, steps: 1, evalFraction: 0.2, evalTokens: 64 });
  assert.is(ending.code, 1, ending.stderr);
  assert.match(error, /^error: evaluator, step 1: expected a finite held-out loss, found NaN/);
  assert.match(error, /last good checkpoint: none$/);
});

test('a held-out loss that is not finite stops the run at the next step, not at the next checkpoint', async () => {
  // A token of the held-out text alone: with a head of its own, the model's other tokens know nothing of it.
  const { bytes, hidden } = { bytes: 3, hidden: TEACHER.hidden_size as number };
  const row = bytes + '!'.charCodeAt(0);
  const student = withInfinity(fixture.teacher, 'model.embed_tokens.weight', row * hidden);
  const evalData = join(fixture.folder, 'loud.txt');
  writeFileSync(evalData, 'the cat sat! '.repeat(20));
  const steps = 5000;
  const out = join(mkdtempSync(join(fixture.folder, 'nan-')), 'run');
  const run = trainInProcess({ ...base, student, evalData, steps, checkpointEvery: steps, out });
  let taken = 0;
  run.metrics$.subscribe({ next: ({ type }) => (taken += Number(type === 'step')), error() {} });
  const error = await run.finished.then(
    () => assert.unreachable('the run ended well'),
    (reason: Error) => reason,
  );
  assert.match(
    error!.message,
    /^evaluator, step 0: expected a finite held-out loss, found NaN; last good checkpoint: none$/,
  );
  assert.ok(taken < steps, `${taken} steps`);
  assert.is(timelessMetrics(out).length, 1, 'nothing is recorded after an evaluation that failed');
});

test.run();
