import { cpSync, existsSync, mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { train as trainInProcess } from 'rivulet';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readCheckpoint } from '#src/formats/checkpoint.js';
import { listCheckpoints } from '#src/formats/checkpointFiles.js';
import { openSafetensors, readFloat32, writeSafetensors } from '#src/formats/safetensors.js';
import type { TrainInput } from '#src/options/train.js';
import { makeFixture } from '../fixtures.js';
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

/** A copy of a model whose weights `change` has changed. @returns its folder */
function withWeights(
  model: string,
  change: (name: string, data: Float32Array, shape: readonly number[]) => void,
): string {
  const folder = mkdtempSync(join(fixture.folder, 'changed-'));
  cpSync(model, folder, { recursive: true });
  const path = join(folder, 'model.safetensors');
  const tensors = [...openSafetensors(path).tensors].map(([name, { shape, ...info }]) => {
    const data = readFloat32({ ...info, shape });
    change(name, data, shape);
    return [name, { dtype: 'F32', shape, data }] as const;
  });
  writeSafetensors(path, new Map(tensors));
  return folder;
}

const withNumber = (model: string, tensor: string, index: number, number: number): string =>
  withWeights(model, (name, data) => {
    if (name === tensor) data[index] = number;
  });

/** A model that gives NaN after the token `row`, and after no other. */
function withPoison(model: string, row: number): string {
  return withWeights(model, (name, data, [rows = 0, columns = 0]) => {
    // Element 0 of the residual stream is 0 but for that token; there its normalised value overflows.
    if (/embed_tokens|lm_head/.test(name)) for (let i = 0; i < rows; i++) data[i * columns] = 0;
    if (/embed_tokens/.test(name)) data[row * columns] = 4;
    if (/o_proj|down_proj/.test(name)) data.fill(0, 0, columns);
    if (name === 'model.norm.weight') data[0] = 3e38;
  });
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

for (const [option, model, tensor, index, number, place] of [
  ['student', fixture.student, 'model.norm.weight', 3, Number.NaN, '3'],
  ['student', fixture.student, 'model.embed_tokens.weight', 24 * 7 + 5, Number.POSITIVE_INFINITY, '7, 5'],
  ['teacher', fixture.teacher, 'lm_head.weight', 32 * 375 + 31, Number.NEGATIVE_INFINITY, '375, 31'],
] as const) {
  test(`${number} in the ${option}'s ${tensor}: file, tensor and place in one line, exit 2, nothing is written`, async () => {
    const folder = withNumber(model, tensor, index, number);
    const { ending, run, error } = await train({ [option]: folder });
    assert.is(ending.code, 2, ending.stderr);
    const file = join(folder, 'model.safetensors');
    const found = `tensor ${tensor}: expected finite numbers, found ${number} at [${place}]`;
    assert.is(error, `error: ${file}: ${found}; fetch or make the file again`);
    assert.is(existsSync(run), false);
  });
}

test('a weight that is no number is refused when all weights are trained, and by evaluate', async () => {
  const student = withNumber(fixture.student, 'model.layers.1.mlp.up_proj.weight', 24 * 2, Number.NaN);
  const { ending, error } = await train({ student, trainable: 'all' });
  assert.is(ending.code, 2, ending.stderr);
  assert.match(
    error,
    'tensor model.layers.1.mlp.up_proj.weight: expected finite numbers, found NaN at [2, 0]',
  );
  const cwd = mkdtempSync(join(fixture.folder, 'nan-'));
  const evaluated = await runProgram(
    'evaluate',
    ['--model', student, '--perplexity', fixture.text, '--sequence', '16'],
    { cwd },
  );
  assert.is(evaluated.code, 2, evaluated.stderr);
  assert.match(evaluated.stderr, 'found NaN at [2, 0]');
});

test("an adapter's number that is none is refused by --init and by --adapter", async () => {
  const { run, ending } = await train({ steps: 1 });
  assert.is(ending.code, 0, ending.stderr);
  const init = join(run, 'adapter');
  const path = join(init, 'adapter_model.safetensors');
  const tensors = [...openSafetensors(path).tensors].map(([name, info]) => {
    const data = readFloat32(info);
    if (name.endsWith('layers.1.self_attn.k_proj.lora_B.weight')) data[8 + 3] = Number.NEGATIVE_INFINITY;
    return [name, { dtype: 'F32', shape: info.shape, data }] as const;
  });
  writeSafetensors(path, new Map(tensors));
  const name = 'base_model.model.model.layers.1.self_attn.k_proj.lora_B.weight';
  const expected = `error: ${path}: tensor ${name}: expected finite numbers, found -Infinity at [1, 3]; fetch or make the file again`;
  const started = await train({ init });
  assert.is(started.ending.code, 2, started.ending.stderr);
  assert.is(started.error, expected);
  const options = [
    '--model',
    fixture.student,
    '--adapter',
    init,
    '--perplexity',
    fixture.text,
    '--sequence',
    '16',
  ];
  const evaluated = await runProgram('evaluate', options, { cwd: run });
  assert.is(evaluated.code, 2, evaluated.stderr);
  assert.is(evaluated.stderr.trimEnd(), expected);
});

test('a held-out loss that is not finite: the evaluator says so', async () => {
  const { ending, error } = await train({ lr: 1e30, warmup: 0, steps: 1, evalFraction: 0.2, evalTokens: 64 });
  assert.is(ending.code, 1, ending.stderr);
  assert.match(error, /^error: evaluator, step 1: expected a finite held-out loss, found NaN/);
  assert.match(error, /last good checkpoint: none$/);
});

test('a held-out loss that is not finite stops the run at the next step, not at the next checkpoint', async () => {
  // A token of the held-out text alone: with a head of its own, the model's other tokens know nothing of it.
  const bytes = 3;
  const student = withPoison(fixture.teacher, bytes + '!'.charCodeAt(0));
  const evalData = join(fixture.folder, 'loud.txt');
  writeFileSync(evalData, 'the cat sat! '.repeat(20));
  const steps = 5000;
  const out = join(mkdtempSync(join(fixture.folder, 'nan-')), 'run');
  const run = trainInProcess({
    ...{ ...base, student, evalData, steps, out },
    ...{ checkpointEvery: steps, targetModules: 'q_proj' },
  });
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
  assert.is(timelessMetrics(out).length, 1 + taken, 'every step that was told is recorded');
});

test.run();
