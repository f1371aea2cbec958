import { cpSync, mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readCheckpoint } from '#src/formats/checkpoint.js';
import { listCheckpoints } from '#src/formats/checkpointFiles.js';
import { openSafetensors, readFloat32, writeSafetensors } from '#src/formats/safetensors.js';
import type { TrainInput } from '#src/options.js';
import { makeFixture } from '../fixtures.js';
import { type Ending, flags, runProgram, timelessMetrics } from './process.js';

const fixture = makeFixture('nan');
const base: TrainInput = {
  student: fixture.student,
  data: [fixture.jsonl],
  batch: 4,
  microBatch: 2,
  sequence: 16,
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

/** The student with one infinite weight. */
function infiniteStudent(): string {
  const folder = join(fixture.folder, 'infinite');
  cpSync(fixture.student, folder, { recursive: true });
  const path = join(folder, 'model.safetensors');
  const tensors = [...openSafetensors(path).tensors].map(([name, info]) => {
    const data = readFloat32(info);
    if (name === 'model.norm.weight') data[3] = Number.POSITIVE_INFINITY;
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
  const { ending, run, error } = await train({ student: infiniteStudent() });
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

test.run();
