import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { evaluate, loadModel, type TasksRecord, train } from 'rivulet';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { rouge } from '#src/evaluation/rouge.js';
import { listCheckpoints } from '#src/formats/checkpointFiles.js';
import { madeUpData } from '../evaluation/tasks/madeUp.js';
import { makeFixture } from '../fixtures.js';
import { inputErrorOf } from '../inputErrors.js';
import { temporaryFolder } from '../support.js';
import { bestOf, loopOptions, makePrompts } from './inTheLoop.js';
import { outcomeOf, recordsOf } from './outcome.js';

/** What evaluations on the way of a run say is what evaluate and generate say of its adapters. */

const fixture = makeFixture('in-the-loop');
const options = loopOptions(fixture);
const fresh = (label: string) => join(temporaryFolder(label), 'run');

const test = suite('evaluations in the loop');

test('tasks have the results of evaluate, written answers those of the model with the adapter', async () => {
  const evalData = makePrompts(temporaryFolder('held-out'), 9);
  const { shots, limit, maxTokens, taskData } = options;
  const evalTasks = ['arc_challenge', 'mmlu', 'gsm8k'] as const;
  const outcome = await outcomeOf({
    ...{
      ...options,
      evalTasks: [...evalTasks],
      evalData,
      evalFraction: 0,
      evalGenerate: 9,
      steps: 12,
      maxTokens,
    },
    ...{ keepBest: undefined, earlyStop: undefined, evalEvery: 100, out: fresh('results') },
  });
  const adapter = join(outcome.out, 'adapter');
  const records = recordsOf(outcome, 'tasks');
  assert.equal(
    records.map(({ step }) => step),
    [0, 12],
  );
  const { results, items, busy } = records.at(-1)!;
  const model = fixture.student;
  const alone = { model, adapter, taskData, shots, limit, maxTokens, threads: 1, device: 'wasm' } as const;
  const { results: expected } = await evaluate({ ...alone, tasks: [...evalTasks] });
  const { generate, ...ofTasks } = results;
  assert.equal(ofTasks, expected);
  assert.equal(items, { ...items, arc_challenge: 2, gsm8k: 2, mmlu: 2, generate: 9 });
  assert.ok(busy.seconds > 0 && busy.share > 0 && busy.share <= 1 && busy.waited >= 0);

  const examples = readFileSync(evalData, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { prompt: string; completion: string });
  const loaded = await loadModel(model, { adapter, sequence: 128, context: 128, threads: 1, device: 'wasm' });
  const written = await loaded.complete(
    examples.map(({ prompt }) => prompt),
    { maxTokens: maxTokens! },
  );
  await loaded.close();
  const mean = (of: (text: string, target: string) => number) =>
    written.reduce((sum, { text }, i) => sum + of(text, examples[i]!.completion), 0) / 9;
  const near = (metric: string, value: number) =>
    assert.ok(
      Math.abs(generate![metric]! - value) < 1e-12,
      `${metric} ${generate![metric]}, expected ${value}`,
    );
  near(
    'rougeL',
    mean((text, target) => rouge(target, text).rougeL.f1),
  );
  near(
    'exact_match',
    mean((text, target) => Number(text.trim() === target.trim())),
  );
  assert.ok(generate!.rougeL! > 0, 'something was learned');
});

test('best/ is the adapter of the best evaluation; the run ends at the evaluation after patience is used up', async () => {
  const outcome = await outcomeOf({ ...options, checkpointEvery: 3, keep: 100, out: fresh('best') });
  const losses = recordsOf(outcome, 'eval');
  const lowest = losses.reduce((best, record) => (record.nll < best.nll ? record : best));
  const { files, step } = bestOf(outcome.out);
  assert.is(step, lowest.step);
  const { path } = listCheckpoints(join(outcome.out, 'checkpoints')).find((one) => one.step === step)!;
  for (const name of ['adapter_model.safetensors', 'adapter_config.json']) {
    assert.is(files[name], readFileSync(join(path, 'adapter', name), 'latin1'));
  }
  assert.equal(JSON.parse(files['best.json']!), { metric: 'nll', step, value: lowest.nll });

  const scores = recordsOf(outcome, 'tasks').map(({ step, results }) => ({
    step,
    acc: results.winogrande!.acc!,
  }));
  const [end] = recordsOf(outcome, 'end');
  const best = bestUntilEnd(scores);
  assert.equal(end!.early_stop, {
    patience: 3,
    best: { metric: 'winogrande/acc', step: best.step, value: best.acc },
  });
  assert.is(end!.step, best.endsAt);
  assert.ok(end!.step < options.steps!, 'ended early');
  assert.equal(end!.best, { metric: 'nll', step, value: lowest.nll, path: join(outcome.out, 'best') });
  assert.is(recordsOf(outcome, 'step').at(-1)!.step, end!.step);
});

/** By hand: three evaluations in a row no better than the best, and the one after them. */
function bestUntilEnd(scores: readonly { readonly step: number; readonly acc: number }[]) {
  let [best, since] = [scores[0]!, 0];
  for (const [i, score] of scores.entries()) {
    if (i > 0 && score.acc > best.acc) [best, since] = [score, 0];
    else if (i > 0) since++;
    if (since === 3) return { ...best, endsAt: scores[i + 1]!.step };
  }
  return { ...best, endsAt: -1 };
}

test('tasks alone are evaluated where nothing is held out; a run of no steps keeps its start as the best', async () => {
  const { evalGenerate: _, ...others } = options;
  const outcome = await outcomeOf({
    ...{ ...others, evalFraction: 0, examples: 0, keepBest: 'winogrande/acc', earlyStop: undefined },
    out: fresh('start'),
  });
  assert.equal(recordsOf(outcome, 'eval'), []);
  const [tasks] = recordsOf(outcome, 'tasks') as [TasksRecord];
  const { files, step } = bestOf(outcome.out);
  assert.is(step, 0);
  assert.is(files['adapter_model.safetensors'], outcome.adapter.toString('latin1'));
  const value = tasks.results.winogrande!.acc!;
  assert.equal(recordsOf(outcome, 'end')[0]!.best, {
    ...{ metric: 'winogrande/acc', step: 0, value, path: join(outcome.out, 'best') },
  });
});

test('training has the same bits with evaluations of any kind, and with none', async () => {
  const short = { ...options, steps: 6, keepBest: undefined, earlyStop: undefined };
  const many = await outcomeOf({ ...short, out: fresh('many') });
  const {
    evalTasks: _,
    taskData: __,
    shots: ___,
    limit: ____,
    evalGenerate: _____,
    maxTokens: ______,
    ...few
  } = short;
  const plain = await outcomeOf({ ...few, out: fresh('plain') });
  assert.ok(many.adapter.equals(plain.adapter));
  const lossesOf = (outcome: typeof many) => recordsOf(outcome, 'eval').map(({ nll }) => nll);
  assert.equal(lossesOf(many), lossesOf(plain));
});

test('a resume is held to what the tasks asked', async () => {
  const { keepBest: _, earlyStop: __, evalGenerate: ___, maxTokens: ____, ...given } = options;
  const taskData = madeUpData();
  const { out } = await outcomeOf({
    ...given,
    taskData,
    steps: 1,
    evalTasks: ['winogrande'],
    out: fresh('asked'),
  });
  const file = join(taskData, 'winogrande/validation.jsonl');
  writeFileSync(file, readFileSync(file, 'utf8').replace('"gold":0', '"gold":1'));
  assert.match(
    await inputErrorOf(() => train({ resume: true, out }).finished),
    /^items of winogrande: expected the text that the run began with \(size and XXH64 2-[0-9a-f]{16}\), found 2-/,
  );
});

test.run();
