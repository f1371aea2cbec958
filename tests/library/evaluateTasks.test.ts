import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { evaluate, loadModel, type TaskProgress } from 'rivulet';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { taskEncoder } from '#src/evaluation/tasks/encodePair.js';
import { TASK_NAMES } from '#src/options/tasks.js';
import { madeUpData } from '../evaluation/tasks/madeUp.js';
import { makeFixture } from '../fixtures.js';
import { runErrorOf } from '../hub/scene.js';
import { inputErrorOf } from '../inputErrors.js';
import { temporaryFolder } from '../support.js';

/** Tasks of made-up items by the library, with a model of 128 positions. */

const fixture = makeFixture('evaluate-tasks');
const model = fixture.student;
const VOCABULARY = 368;
const taskData = madeUpData();
const common = { model, taskData, threads: 2, shots: 1 } as const;

const tests = suite('evaluate with tasks');

const linesOf = (path: string) =>
  readFileSync(path, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));

tests('scores all tasks, writes a line an item, and gives their mean', async () => {
  const samples = join(temporaryFolder('samples'), 'samples.jsonl');
  const seen: TaskProgress[] = [];
  const tasks = [...TASK_NAMES];
  const result = await evaluate(
    { ...common, tasks, samples, maxTokens: 4 },
    { onTask: (progress) => seen.push(progress) },
  );
  assert.equal(Object.keys(result.results), [
    ...['arc_challenge', 'hellaswag', 'mmlu', 'mmlu_other', 'mmlu_virology'],
    ...['truthfulqa_mc2', 'winogrande', 'gsm8k', 'qmsum'],
  ]);
  assert.equal(Object.keys(result.results.arc_challenge!), [
    ...['acc', 'acc_stderr', 'acc_norm', 'acc_norm_stderr'],
  ]);
  assert.equal(Object.keys(result.results.gsm8k!), [
    ...['exact_match,strict-match', 'exact_match_stderr,strict-match'],
    ...['exact_match,flexible-extract', 'exact_match_stderr,flexible-extract'],
  ]);
  assert.is(result.results.truthfulqa_mc2!.acc_stderr, null);
  assert.equal(result.results.mmlu, result.results.mmlu_virology);
  const { arc_challenge: arc, hellaswag, mmlu, truthfulqa_mc2: truthful, winogrande, gsm8k } = result.results;
  const six = [arc!.acc_norm, hellaswag!.acc_norm, mmlu!.acc, truthful!.acc, winogrande!.acc];
  const sum = [...six, gsm8k!['exact_match,strict-match']].reduce((total, value) => total! + value!, 0);
  assert.ok(Math.abs(result.mean! - sum! / 6) < 1e-12);
  const counts = { arc_challenge: 2, hellaswag: 3, mmlu: 2, mmlu_other: 2, mmlu_virology: 2 };
  assert.equal(result.items, { ...counts, truthfulqa_mc2: 1, winogrande: 3, gsm8k: 2, qmsum: 1 });
  assert.is(result.shots.arc_challenge, 1);
  assert.is(result.shots.truthfulqa_mc2, 0);
  assert.ok(result.forwarded > 0 && result.seconds > 0);
  assert.is(seen.length, 14);
  assert.equal(
    seen.slice(-2).map(({ task, items, totalItems }) => [task, items, totalItems]),
    [
      ['gsm8k', 2, 2],
      ['qmsum', 1, 1],
    ],
  );
  const lines = linesOf(samples);
  assert.is(lines.length, 14);
  assert.equal(Object.keys(lines[0]), ['task', 'shots', 'doc_id', 'arguments', 'll', 'greedy', 'metrics']);
  assert.equal(Object.keys(lines[12]), ['task', 'shots', 'doc_id', 'arguments', 'ids', 'text', 'metrics']);
  assert.equal([lines[5].task, lines[5].doc_id, lines[6].doc_id], ['mmlu_virology', 0, 1]);
  assert.is(lines[12].ids.length <= 4, true);
  assert.equal(readdirSync(join(samples, '..')), ['samples.jsonl']);
});

tests('log-likelihoods are those of the logits; more text than positions is cut from the left', async () => {
  const samples = join(temporaryFolder('samples'), 'samples.jsonl');
  await evaluate({ ...common, tasks: ['winogrande', 'truthfulqa_mc2'], samples });
  const loaded = await loadModel(model, { sequence: 128, threads: 2 });
  const encoder = taskEncoder(loaded.tokenizer, 'auto');
  let cut = 0;
  try {
    for (const sample of linesOf(samples)) {
      for (const [i, [context, continuation]] of sample.arguments.entries()) {
        const pair = encoder.pair(context, continuation);
        const ids = [...pair.context, ...pair.continuation].slice(-129);
        if (ids.length < pair.context.length + pair.continuation.length) cut++;
        const logits = await loaded.logits(ids.slice(0, -1));
        let expected = 0;
        for (let at = ids.length - pair.continuation.length; at < ids.length; at++) {
          const row = Array.from(logits.subarray((at - 1) * VOCABULARY, at * VOCABULARY));
          const most = Math.max(...row);
          expected += row[ids[at]!]! - most - Math.log(row.reduce((sum, z) => sum + Math.exp(z - most), 0));
        }
        assert.ok(Math.abs(sample.ll[i] - expected) < 1e-3, `${sample.ll[i]}, expected ${expected}`);
      }
    }
  } finally {
    await loaded.close();
  }
  assert.is(cut >= 4, true);
});

tests('what does not fit into the model is told, with how much of it', async () => {
  const warnings: string[] = [];
  const listen = ({ message }: Error) => warnings.push(message);
  process.on('warning', listen);
  await evaluate({ ...common, tasks: ['winogrande', 'gsm8k', 'qmsum'], maxTokens: 110 });
  await new Promise((resolve) => setTimeout(resolve, 0));
  process.off('warning', listen);
  const cut =
    "items do not fit into the model's 128 positions beside --max-tokens 110: their beginning is not read";
  assert.equal(
    warnings.filter((text) => text.includes('positions')),
    [`gsm8k: 2 of 2 ${cut}; lower --shots`, `qmsum: 1 of 1 ${cut}`],
  );
});

tests('text and tasks together, each as it is alone', async () => {
  const text = { model, threads: 2, perplexity: fixture.text, sequence: 16 };
  const tasks = { ...common, tasks: ['winogrande' as const] };
  const both = await evaluate({ ...text, ...tasks });
  const [alone, onlyTasks] = [await evaluate(text), await evaluate(tasks)];
  assert.is(both.nll, alone.nll);
  assert.is(both.perplexity, alone.perplexity);
  assert.equal(both.results, onlyTasks.results);
  assert.not('results' in alone);
  assert.not('nll' in onlyTasks);
  assert.not('mean' in onlyTasks);
});

tests('answers are the same with a limit, and without BOS others', async () => {
  const folder = temporaryFolder('samples');
  const ask = async (name: string, options: object) => {
    const samples = join(folder, name);
    await evaluate({ ...common, tasks: ['hellaswag'], samples, ...options });
    return linesOf(samples);
  };
  const all = await ask('all', {});
  assert.equal(await ask('two', { limit: 2 }), all.slice(0, 2));
  const without = await ask('never', { bos: 'never' });
  assert.equal(without[0].arguments, all[0].arguments);
  assert.not.equal(without[0].ll, all[0].ll);
});

tests('wrong inputs are one line, and write nothing', async () => {
  const folder = temporaryFolder('samples');
  const samples = join(folder, 'samples.jsonl');
  const long = madeUpData({
    'winogrande/validation.jsonl':
      `{"context_options":["a","the"],"continuation":"${'cat '.repeat(200)}","gold":0}\n`.repeat(2),
  });
  const tasks = ['winogrande'] as const;
  for (const [options, message] of [
    [
      { tasks: ['winogrand'] },
      /^--tasks: expected some of arc_challenge, hellaswag, mmlu, .*, found \["winogrand"\]$/,
    ],
    [{ tasks: [] }, /^--tasks: expected some of arc_challenge, /],
    [{ tasks, limit: 0 }, /^--limit: expected a number above 0, found 0$/],
    [{ tasks, limit: 1.5 }, /^--limit: expected a whole number, or a share below 1, found 1\.5$/],
    [
      { tasks, shots: 3 },
      /^winogrande: expected at least 4 items to draw 3 examples from, found 3; lower --shots$/,
    ],
    [
      { tasks, taskData: join(folder, 'none') },
      /^--task-data: expected a folder of task data, found nothing at /,
    ],
    [
      { tasks, taskData: long },
      /^winogrande, item 0: expected a continuation of at most 128 tokens, the model's positions, found \d+; /,
    ],
    [
      { tasks: ['gsm8k'] },
      /^--max-tokens: expected less than 128, the model's positions, .* found 256; lower it$/,
    ],
    [
      { tasks, samples: folder },
      /^--samples .*: expected a file to write, found a folder; name a file in it$/,
    ],
    [
      { tasks, samples: '/dev/null' },
      /^--samples \/dev\/null: expected a file to write, found a device; name another$/,
    ],
    [
      { tasks, samples: join(folder, 'a/b') },
      /^--samples .*: expected a file to write, found no folder .*\/a; make it first$/,
    ],
    [
      { tasks, samples: join(folder, 'n'.repeat(256)) },
      /^--samples .*n: expected a file to write, found ENAMETOOLONG; name another$/,
    ],
    [
      { tasks: undefined, samples: undefined, taskData: undefined, shots: undefined },
      /^--perplexity: expected PATH, found nothing; give text to score, or --tasks /,
    ],
    [
      { tasks: undefined, perplexity: fixture.text },
      /^--task-data: expected --tasks TASK,\.\.\. with it, found none; leave one out; --samples: .*; --shots: expected one of --tasks /,
    ],
    [
      { tasks: ['truthfulqa_mc2'], maxTokens: 9 },
      /^--shots: .* found --tasks truthfulqa_mc2; leave one out; --max-tokens: expected one of --tasks gsm8k,qmsum with it, found /,
    ],
    [
      { tasks, sequence: 7, textColumn: 'a', separator: 'x', lossOn: 'all', idsTokenizer: 'nowhere' },
      /^--text-column: expected --perplexity PATH with it, found none; leave one out; --ids-tokenizer: .*--loss-on: .*--separator: .*--sequence: /,
    ],
    [
      { tasks, qmsum: { tokens: 9 }, chatTemplate: 'nowhere' },
      /^--qmsum: expected --perplexity PATH or --tasks qmsum with it, .*; --chat-template: expected --perplexity PATH, or /,
    ],
    [
      { tasks: ['qmsum'], shots: undefined, chatTemplate: 'nowhere' },
      /^--chat-template: expected --perplexity PATH, or --tasks qmsum and --qmsum prompt=chat, with it, found --tasks qmsum; leave one out$/,
    ],
  ] as const) {
    const input = { ...common, samples, ...options } as Parameters<typeof evaluate>[0];
    assert.match(await inputErrorOf(() => evaluate(input)), message);
  }
  assert.equal(readdirSync(folder), []);
});

tests('stops when it is told to, and leaves no samples', async () => {
  const folder = temporaryFolder('samples');
  const stop = new AbortController();
  const work = evaluate(
    { ...common, tasks: ['arc_challenge', 'hellaswag'], samples: join(folder, 'a.jsonl') },
    { signal: stop.signal, onTask: () => stop.abort() },
  );
  assert.is(await runErrorOf(work), 'expected to score the whole text, found a signal to stop');
  for (let i = 0; i < 100 && readdirSync(folder).length > 0; i++) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.equal(readdirSync(folder), []);
  assert.not(existsSync(join(folder, 'a.jsonl')));
});

tests.run();
