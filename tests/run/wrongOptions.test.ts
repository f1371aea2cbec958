import { cpSync, existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TrainInput, train } from 'rivulet';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { madeUpData } from '../evaluation/tasks/madeUp.js';
import { makeFixture } from '../fixtures.js';
import { inputErrorOf } from '../inputErrors.js';
import { makePrompts } from './inTheLoop.js';
import { outcomeOf } from './outcome.js';

/** Options that can't be right: one line, and nothing is written. */

const fixture = makeFixture('wrong-options');
const freshFolder = () => mkdtempSync(join(fixture.folder, 'options-'));
const base: TrainInput = {
  student: fixture.student,
  data: [fixture.text],
  ...{ batch: 4, sequence: 16, steps: 2, evalFraction: 0, threads: 1, shuffleRows: 64 },
};
const taskData = madeUpData();
const earlier = await outcomeOf(base);

const wrong = suite('wrong input');
const copyOf = (model: string, change: (folder: string) => void): string => {
  const folder = join(freshFolder(), 'model');
  cpSync(model, folder, { recursive: true });
  change(folder);
  return folder;
};
const editJson = (path: string, edit: (json: string) => string) =>
  writeFileSync(path, edit(readFileSync(path, 'utf8')));

const onePrompt = join(freshFolder(), 'one.jsonl');
writeFileSync(onePrompt, '{"prompt": "one", "completion": " two"}\n');

const wrongInputs: Record<string, [change: Record<string, unknown>, message: RegExp]> = {
  'no student': [{ student: undefined }, /^--student: expected MODEL, found nothing/],
  'a student that is not there': [
    { student: 'nowhere' },
    /^nowhere: expected a model's folder, or owner\/name .*, found neither/,
  ],
  'data that is not there': [{ data: ['nowhere.txt'] }, /^nowhere\.txt: expected a text file, found nothing/],
  'data that is no list': [{ data: 'text.txt' }, /^--data: expected a list of paths, found text\.txt$/],
  'no data': [{ data: [] }, /^--data: expected at least one path/],
  'an unknown option': [
    { learningRate: 1, warmpu: 3 },
    /^unknown option --learning-rate; see --help; unknown option --warmpu; did you mean --warmup\?$/,
  ],
  'a number out of range': [
    { batch: 0, alpha: 2 },
    /^--batch: expected at least 1, found 0; --alpha: expected 0 to 1/,
  ],
  'a sequence that is too long': [{ sequence: 129 }, /^--sequence: expected at most 128, .*, found 129$/],
  'a rank that is too large for the memory': [
    { rank: 1e9 },
    /^expected models of at most .*, found student /,
  ],
  'a micro-batch that does not divide': [
    { microBatch: 3 },
    /^--micro-batch: expected a divisor of --batch 4, found 3/,
  ],
  'steps and tokens': [{ tokens: 100 }, /^--tokens: expected it without --steps/],
  'unknown layers': [{ targetModules: 'q_proj,head' }, /^--target-modules: expected .*, found head$/],
  'patterns with a name twice': [
    { rankPattern: 'q_proj=4,q_proj=16', alphaPattern: 'v_proj=4,q_proj=1,v_proj=4' },
    /^--rank-pattern: expected NAME=NUMBER once for each name, .*; --alpha-pattern: expected NAME=NUMBER once /,
  ],
  'maps with what is no number': [
    { rankPattern: { q_proj: true }, alphaPattern: { q_proj: [4] }, qmsum: { tokens: true } },
    /^--rank-pattern: expected a number, .*; --alpha-pattern: expected a number, .*; --qmsum: expected tokens to be all or /,
  ],
  'options of a teacher without one': [
    { alpha: 0.3, temperature: 2, divergence: 'reverse-kl' },
    /^--alpha: expected --teacher MODEL with it, found --teacher none; leave one out; --divergence: .*; --temperature: /,
  ],
  'beta of another divergence': [
    { teacher: fixture.teacher, beta: 0.3 },
    /^--beta: expected --divergence jsd with it, found --divergence forward-kl; leave one out$/,
  ],
  'decay of another schedule': [
    { decay: 0.5 },
    /^--decay: expected --schedule wsd with it, found --schedule cosine; leave one out$/,
  ],
  'options of an adapter that is not there': [
    { trainable: 'all', rank: 4, targetModules: 'q_proj', loraPlus: 2 },
    /^--rank: expected --trainable lora with it, .*; --lora-plus: .*; --target-modules: /,
  ],
  'two texts to evaluate on': [
    { evalData: fixture.text, evalFraction: 0.2 },
    /^--eval-fraction: expected no --eval-data with it, found --eval-data .*; leave one out$/,
  ],
  'kernels of a GPU on the CPU': [
    { device: 'wasm', kernels: 'f16' },
    /^--kernels: expected a GPU as --device with it, found --device wasm; leave one out$/,
  ],
  "another rank than the adapter's": [
    { init: join(earlier.out, 'adapter'), rank: 16, rslora: true, targetModules: 'k_proj' },
    /^--init: expected the adapter's own --rank 8 \(found 16\), --rslora false \(found true\), --target-modules .* \(found "k_proj"\)/,
  ],
  'another tokenizer': [
    {
      teacher: copyOf(fixture.teacher, (folder) =>
        editJson(join(folder, 'tokenizer.json'), (json) => json.replaceAll('<0x41>', '<0xZZ>')),
      ),
    },
    /^--teacher: expected the tokenizer of .*: token \d+: "<0x41>" and "<0xZZ>"$/,
  ],
  'a config for other weights': [
    {
      student: copyOf(fixture.student, (folder) =>
        editJson(join(folder, 'config.json'), (json) =>
          json.replace('"intermediate_size":40', '"intermediate_size":48'),
        ),
      ),
    },
    /expected the weights that config\.json describes, found: model\.layers\.0\.mlp\.gate_proj\.weight is \[40, 24\]/,
  ],
  'an adapter of another model': [
    { init: join(earlier.out, 'adapter'), student: fixture.teacher },
    /adapter_model\.safetensors: expected this model's adapter, found tensors of the wrong shape/,
  ],
  'a metric that nobody knows': [
    { evalFraction: 0.3, keepBest: 'loss' },
    /^--keep-best: expected nll, TASK\/METRIC or generate\/METRIC, found loss$/,
  ],
  'a metric of a task that is not asked': [
    { evalFraction: 0.3, keepBest: 'arc_challenge/acc_norm' },
    /^--keep-best: expected a metric that evaluations give \(nll\), found arc_challenge\/acc_norm; add --eval-tasks arc_challenge, or choose another$/,
  ],
  'a metric that a task does not have': [
    { evalTasks: ['winogrande'], shots: 0, taskData, earlyStop: 'winogrande/acc_norm:2' },
    /^--early-stop: expected a metric that evaluations give \(winogrande\/acc\), found winogrande\/acc_norm; choose one of them$/,
  ],
  'a loss where nothing is held out': [
    { evalTasks: ['winogrande'], shots: 0, taskData, keepBest: 'nll' },
    /^--keep-best: expected .* \(winogrande\/acc\), found nll; hold out text with --eval-data or --eval-fraction/,
  ],
  'no patience': [
    { evalFraction: 0.3, earlyStop: 'nll:0' },
    /^--early-stop: expected a patience of at least 1, found "nll:0"$/,
  ],
  'a metric without patience': [
    { evalFraction: 0.3, earlyStop: 'nll' },
    /^--early-stop: expected METRIC:PATIENCE, the metric being .*, found nll$/,
  ],
  'the best of no evaluations': [
    { keepBest: 'nll', earlyStop: 'nll:2' },
    /^--keep-best: expected --eval-data PATH, .* with it, found no evaluations; leave one out; --early-stop: /,
  ],
  'a single example to hold some out of': [
    { data: [onePrompt], evalFraction: 0.05, dryRun: true },
    /^expected several conversations, prompts or queries to hold some out, found one; give more, or --eval-fraction 0$/,
  ],
  'answers to plain text': [
    { evalFraction: 0.3, evalGenerate: 2 },
    /^--eval-generate: expected held-out prompts with completions, conversations or queries, found text alone, or nothing; /,
  ],
  'answers where nothing is held out': [
    { evalGenerate: 2 },
    /^--eval-generate: expected --eval-data PATH or --eval-fraction F with it, found nothing held out; leave one out$/,
  ],
  'more answers than there are': [
    { evalData: makePrompts(fixture.folder, 4), evalGenerate: 5, maxTokens: 4, evalFraction: undefined },
    /^--eval-generate: expected at most 4, which is all that is held out and has an answer, found 5; lower it, or hold out more$/,
  ],
  'answers that leave no room for a prompt': [
    { evalData: makePrompts(fixture.folder, 4), evalGenerate: 2, evalFraction: undefined },
    /^--max-tokens: expected less than 128, the model's positions, so that a prompt fits, found 256; lower it$/,
  ],
  'a task that is none': [
    { evalTasks: 'arc' },
    /^--eval-tasks: expected some of arc_challenge, .*, found arc$/,
  ],
  'options of tasks without any': [
    { shots: 2, limit: 3, taskData: 'x', maxTokens: 3 },
    /^--limit: expected --eval-tasks TASK,\.\.\. with it, found none; .*--task-data: .*--shots: .*--max-tokens: /,
  ],
  'shots and answers of tasks that have none': [
    { evalTasks: ['truthfulqa_mc2'], taskData, shots: 2, maxTokens: 3 },
    /^--shots: expected one of --eval-tasks arc_challenge,.* with it, found --eval-tasks truthfulqa_mc2; .*--max-tokens: expected one of --eval-tasks gsm8k,qmsum, or --eval-generate N, with it, found /,
  ],
  'options of evaluations without any': [
    { evalTokens: 5, evalEvery: 3 },
    /^--eval-tokens: expected --eval-data PATH or --eval-fraction F with it, found nothing held out; leave one out; --eval-every: /,
  ],
  'a device that runs no whole steps': [
    { device: 'gpu' },
    /^--device: expected auto \| wasm \| webgpu \| webgpu:WHICH, found gpu$/,
  ],
};

wrong('what says the same as the default, or as the adapter to start from, is no slip', async () => {
  const init = join(earlier.out, 'adapter');
  const run = await outcomeOf({
    ...base,
    init,
    rank: 8,
    alpha: 0,
    beta: 0.5,
    targetModules: 'all-linear',
    decay: 0.1,
  });
  assert.is(run.records.find((record) => record.type === 'start')?.options.rank, 8);
});

for (const [what, [change, expected]] of Object.entries(wrongInputs)) {
  wrong(what, async () => {
    const out = join(freshFolder(), 'run');
    const options = { ...base, out, ...change } as unknown as TrainInput;
    assert.match(await inputErrorOf(() => train(options).finished), expected);
    assert.not(existsSync(out), 'nothing was written');
  });
}

wrong.run();
