import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { train } from 'rivulet';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { version } from '#src/base/version.js';
import { commandOf } from '#src/cli/command.js';
import { CACHE_FLAGS } from '#src/options/cache.js';
import { EVALUATE_FLAGS } from '#src/options/evaluate.js';
import { GENERATE_FLAGS } from '#src/options/generate.js';
import { MERGE_FLAGS } from '#src/options/merge.js';
import { STUDY_OPTIONS } from '#src/options/study.js';
import { flagOf, problemsOf } from '#src/options/table.js';
import { TOKENIZE_FLAGS } from '#src/options/tokenize.js';
import { TRAIN_OPTIONS } from '#src/options/train.js';
import { madeUpData } from '../evaluation/tasks/madeUp.js';
import { makeFixture, makeText } from '../fixtures.js';
import { inputErrorOf } from '../inputErrors.js';
import { projectRoot } from '../support.js';
import { type Ending, runProgram } from './process.js';

/** The programs as a user meets them: help, usage errors, what they print. */

const fixture = makeFixture('programs');
const start = (name: Parameters<typeof runProgram>[0], args: string[]): Promise<Ending> =>
  runProgram(name, args, { cwd: mkdtempSync(join(fixture.folder, 'programs-')) });

const help = suite('--help');

for (const [name, table] of [
  ['train', TRAIN_OPTIONS],
  ['evaluate', EVALUATE_FLAGS],
  ['generate', GENERATE_FLAGS],
  ['study', STUDY_OPTIONS],
  ['tokenize', TOKENIZE_FLAGS],
  ['cache', CACHE_FLAGS],
  ['merge', MERGE_FLAGS],
] as const) {
  help(`${name}: usage, every option with its default, examples; within 80 columns`, async () => {
    const { code, stdout, stderr } = await start(name, ['--help']);
    assert.is(code, 0);
    assert.is(stderr, '');
    const lines = stdout.split('\n');
    assert.ok(lines[0]!.startsWith(`Usage: node dist/${name}.js --`), lines[0]);
    assert.equal(
      lines.filter((line) => line.length > 80),
      [],
    );
    const text = stdout.replace(/\s+/g, ' ');
    for (const [option, row] of Object.entries(table)) {
      const fallback = 'default' in row && row.default !== false ? ` (default: ${row.default})` : '';
      assert.match(text, new RegExp(` ${flagOf(option)} `));
      assert.match(text, (row.help + fallback).replace(/\s+/g, ' '));
    }
    assert.match(stdout, `\nExamples:\n  node dist/${name}.js --`);
    assert.match(stdout, /\nExit codes: 0 done, 1 failed, 2 bad usage or input\./);
  });
}

help('a reader that has seen enough ends it quietly', async () => {
  const script = join(projectRoot, 'dist/train.js');
  const { stderr } = await promisify(execFile)('sh', ['-c', `"${process.execPath}" "${script}" --help | :`]);
  assert.is(stderr, '');
});

help('--version', async () => {
  const { code, stdout } = await start('train', ['--version']);
  assert.is(code, 0);
  assert.is(stdout, `${version}\n`);
});

help('rivulet runs each verb, and names the nearest where there is none', async () => {
  const none = await start('rivulet', []);
  assert.is(none.code, 0);
  for (const verb of ['train', 'evaluate', 'generate', 'cache', 'study', 'merge', 'tokenize']) {
    assert.match(none.stdout, new RegExp(`^  ${verb} `, 'm'));
    const { code, stdout } = await start('rivulet', [verb, '--help']);
    assert.is(code, 0);
    assert.match(stdout, new RegExp(`^Usage: .*${verb}.* --`));
  }
  const wrong = await start('rivulet', ['trian']);
  assert.is(wrong.code, 2);
  assert.is(
    wrong.stderr,
    'error: expected train, evaluate, generate, cache, study, merge, tokenize, found trian; did you mean train?\n',
  );
  const inherited = await start('rivulet', ['constructor']);
  assert.is(inherited.code, 2);
  assert.is((await start('rivulet', ['--version'])).stdout, `${version}\n`);
});

help.run();

const errors = suite('wrong usage and input');

for (const [name, args, message] of [
  ['train', ['--warmpu', '3'], /^error: unknown option --warmpu; did you mean --warmup\?$/],
  ['train', ['--student', 'nowhere', '--data', 'x'], /^error: nowhere: expected a model's folder, .*$/],
  ['train', ['--teacher', 'none'], /^error: --student: .*; --data: .*$/],
  ['evaluate', ['--model', fixture.student, '--perplexity', 'nowhere.txt'], /^error: nowhere\.txt: .*$/],
  [
    'evaluate',
    ['--model', fixture.student],
    /^error: --perplexity: expected PATH, .* or --tasks to score the model on$/,
  ],
  [
    'evaluate',
    ['--model', fixture.student, '--tasks', 'gsm8k,arc'],
    /^error: --tasks: expected some of arc_challenge, .*, found "gsm8k,arc"$/,
  ],
  ['tokenize', ['--mdoel', 'x'], /^error: unknown option --mdoel; did you mean --model\?$/],
  ['cache', ['--model', 'x', '--data', 'y'], /^error: --out: expected DIR, found nothing; .*$/],
  ['merge', ['--model', 'x'], /^error: --adapter: expected ADAPTER, .*; --out: expected DIR, .*$/],
  ['tokenize', ['--json'], /^error: --model: expected MODEL, .*; --data: .*$/],
] as const) {
  errors(`${name} ${args[0]}: one line on stderr, nothing on stdout, exit 2`, async () => {
    const { code, stdout, stderr } = await start(name, [...args]);
    assert.is(code, 2, stderr);
    assert.is(stdout, '');
    assert.match(stderr.trimEnd(), message);
    assert.is(stderr.split('\n').length, 2, stderr);
  });
}

const texts = { name: 'train', description: '', usage: [''], examples: [] };
const usage: Record<string, [args: string[], message: string]> = {
  'an unknown option with its value': [['--rnak=3'], 'unknown option --rnak; did you mean --rank?'],
  'an option nothing like any': [['--learning-rate', '1'], 'unknown option --learning-rate; see --help'],
  'a letter': [['-x'], 'unknown option -x; see --help'],
  'an option without its value': [['--rank'], '--rank: expected N, found nothing; see --help'],
  'an option without any of its values': [['--data'], '--data: expected PATH..., found nothing; see --help'],
  'words that belong to no option': [['help', 'me'], 'expected options alone, found help me; see --help'],
};
for (const [what, [args, expected]] of Object.entries(usage)) {
  errors(what, async () => {
    const parse = () => commandOf(texts, TRAIN_OPTIONS).parse(args, { from: 'user' });
    assert.is(await inputErrorOf(parse), expected);
  });
}

const values: Record<string, [given: Record<string, unknown>, message: string]> = {
  'no text': [{ data: undefined }, '--data: expected PATH, found nothing; give text to train on'],
  'no number': [{ rank: 'x' }, '--rank: expected a number, found x'],
  'a number out of range': [{ lr: '-1' }, '--lr: expected a number above 0, found -1'],
  'no whole number': [{ batch: 1.5 }, '--batch: expected a whole number, found 1.5'],
  'a number beyond what numbers tell apart': [
    { steps: 1e300 },
    '--steps: expected at most 9007199254740991, found 1e+300',
  ],
  'a row that no model reads': [{ sequence: 1e9 }, '--sequence: expected at most 16777216, found 1000000000'],
  'something else that could become a number': [{ rank: [2] }, '--rank: expected a number, found [2]'],
  'several words': [{ batch: 'a lot' }, '--batch: expected a number, found "a lot"'],
  'a choice that is none': [
    { schedule: 'sine' },
    '--schedule: expected cosine | linear | constant | wsd, found sine',
  ],
  'a pattern without a number': [
    { rankPattern: 'q_proj' },
    '--rank-pattern: expected NAME=NUMBER once for each name, with commas between several, found q_proj',
  ],
  'a pattern with something else': [
    { rankPattern: 'q_proj=x' },
    '--rank-pattern: expected a number, found "q_proj=x"',
  ],
};
for (const [what, [given, expected]] of Object.entries(values)) {
  errors(what, () => assert.equal(problemsOf(TRAIN_OPTIONS, { data: ['x'], ...given }), [expected]));
}

errors.run();

const evaluate = suite('evaluate');

evaluate('prints one JSON object on one line', async () => {
  const text = join(fixture.folder, 'scored.txt');
  writeFileSync(text, makeText(9, 300));
  const { adapter } = await train({
    ...{ student: fixture.student, data: [fixture.text], out: join(fixture.folder, 'run') },
    ...{ batch: 4, sequence: 16, shuffleRows: 16, steps: 1, evalFraction: 0, threads: 1 },
  }).finished;
  const args = ['--model', fixture.student, '--adapter', adapter!, '--sequence', '16'];
  const { code, stdout, stderr } = await start('evaluate', [...args, '--perplexity', text, '--json']);
  assert.is(code, 0, stderr);
  assert.is(stdout.split('\n').length, 2);
  const { tokens, nll, perplexity } = JSON.parse(stdout) as Record<string, number>;
  assert.ok(tokens! > 300);
  assert.ok(Math.abs(perplexity! - Math.exp(nll!)) < 1e-9);
});

evaluate('prints a line a metric of a task, and writes samples', async () => {
  const samples = join(fixture.folder, 'samples.jsonl');
  const args = [
    '--model',
    fixture.student,
    '--task-data',
    madeUpData(),
    '--shots',
    '1',
    '--samples',
    samples,
  ];
  const { code, stdout, stderr } = await start('evaluate', [...args, '--tasks', 'hellaswag, winogrande']);
  assert.is(code, 0, stderr);
  const number = '\\d\\.\\d{4} \\+- \\d\\.\\d{4}';
  const line = (task: string, metric: string) => `${task} +1 shots +3 items +${metric} +${number}`;
  const lines = [line('hellaswag', 'acc'), line('hellaswag', 'acc_norm'), line('winogrande', 'acc')];
  assert.match(stdout, new RegExp(`^${lines.join('\\n')} +\\(\\d+\\.\\d s\\)\\n$`));
  assert.is(readFileSync(samples, 'utf8').split('\n').length, 7);
});

evaluate('of tasks that cannot be scored says so in one line, and writes nothing', async () => {
  const samples = join(fixture.folder, 'none.jsonl');
  const args = ['--model', fixture.student, '--task-data', madeUpData(), '--samples', samples];
  const { code, stdout, stderr } = await start('evaluate', [...args, '--tasks', 'gsm8k', '--shots', '1']);
  assert.is(code, 2);
  assert.is(stdout, '');
  assert.match(stderr, /^error: --max-tokens: expected less than 128, [^\n]*\n$/);
  assert.not(existsSync(samples));
});

evaluate.run();
