import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { readStudyConfig } from '#src/study/config.js';
import { cellGiven, linesOf } from '#src/study/lines.js';
import { beta2At } from '#src/study/moments.js';
import { StudyPlan } from '#src/study/plan.js';
import { makeFixture } from '../fixtures.js';
import { inputErrorOf } from '../inputErrors.js';

/** What a study's file says, and what is wrong with it. */

const { folder, student, teacher, jsonl } = makeFixture('study-config');
const options = `{student: ${student}, data: ${jsonl}, sequence: 16}`;

function written(text: string, name = 'study.yaml'): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

const lines = (text: string) => linesOf(readStudyConfig(written(text)));

const test = suite('config of a study');

test('lines are the product of the axes, first ones slowest, by view', () => {
  const found = lines(
    `options: ${options}\naxes: {rank: [2, 4], batch: [2, 8]}\nlength: {tokens: 512, steps: 10}\n`,
  );
  assert.equal(
    found.map(({ axes, view, steps }) => [axes.rank, axes.batch, view, steps]),
    [
      [2, 2, 'tokens', 16],
      [2, 2, 'steps', 10],
      [2, 8, 'tokens', 4],
      [2, 8, 'steps', 10],
      [4, 2, 'tokens', 16],
      [4, 2, 'steps', 10],
      [4, 8, 'tokens', 4],
      [4, 8, 'steps', 10],
    ],
  );
});

test('an axis of names stands for options that go together', () => {
  const found = lines(
    `options: ${options}\naxes:\n  method:\n    CPT: {}\n    KD .25: {teacher: ${teacher}, alpha: .25}\nlength: {steps: 4}\n`,
  );
  assert.equal(
    found.map(({ axes, given }) => [axes.method, given.alpha]),
    [
      ['CPT', undefined],
      ['KD .25', 0.25],
    ],
  );
});

test('full fine-tuning is one line, which axes of adapters leave alone; so is what no teacher says', () => {
  const found = lines(
    `options: ${options}\naxes: {start: [random, full], rank: [2, 4]}\nlength: {steps: 4}\n`,
  );
  assert.equal(
    found.map(({ axes }) => axes),
    [{ start: 'random', rank: 2 }, { start: 'random', rank: 4 }, { start: 'full' }],
  );
  const methods = lines(
    `options: ${options}\naxes:\n  teacher: [none, ${teacher}]\n  alpha: [.25, .5]\nlength: {steps: 4}\n`,
  );
  assert.is(methods.length, 3);
});

test('rates are a grid of 10^0.25 around the one of their start, or a list', () => {
  const grid = lines(
    `options: ${options}\naxes: {start: [random, full], lr: {from: {random: 1.0e-3, full: 1.0e-4}}}\nlength: {steps: 4}\n`,
  );
  assert.equal(
    grid.map(({ grid, rateAt }) => [...grid.places, 2].map(rateAt)),
    [
      [0.0005623, 0.001, 0.001778, 0.003162],
      [0.00005623, 0.0001, 0.0001778, 0.0003162],
    ],
  );
  const [list] = lines(`options: ${options}\naxes: {lr: [0.01, 0.001]}\nlength: {steps: 4}\n`);
  assert.equal(list!.grid, { places: [0, 1], extensions: 0 });
  assert.equal(list!.grid.places.map(list!.rateAt), [0.001, 0.01]);
});

test('warm-up is a share, and a second moment may have its half-life in tokens', () => {
  const config = readStudyConfig(
    written(
      `options: {student: ${student}, data: ${jsonl}, sequence: 16, beta2: {at: 0.99, batch: 8}}\naxes: {batch: [4, 16]}\nlength: {tokens: 6400}\nwarmup: 0.1\n`,
    ),
  );
  const cells = linesOf(config).map((line) => cellGiven(config, line, { place: 0, seed: 0 }, 7));
  assert.equal(
    cells.map(({ steps, warmup, beta2, seed }) => [steps, warmup, beta2, seed]),
    [
      [100, 10, Number(Math.sqrt(0.99).toPrecision(8)), 7],
      [25, 3, 0.9801, 7],
    ],
  );
  // After as many tokens the same is left of a gradient.
  assert.ok(Math.abs(beta2At({ at: 0.99, batch: 8 }, 4) ** 2 - 0.99) < 1e-7);
});

test('paths are relative to the file', () => {
  mkdirSync(join(folder, 'sub'), { recursive: true });
  const path = written(
    'options: {student: ../student, data: ../documents.jsonl, sequence: 16}\nlength: {steps: 2}\n',
    'sub/study.yaml',
  );
  const [line] = linesOf(readStudyConfig(path));
  assert.match(String(line!.given.student), /student$/);
  assert.not.match(String(line!.given.student), /^\.\.\/student/);
});

for (const [what, text, expected] of [
  ['an unknown field', 'axis: {batch: [1]}\n', /study\.yaml.*unknown field axis; did you mean axes\?/],
  ['an unknown axis', 'axes: {bacth: [1]}\n', /axes: unknown option bacth; did you mean batch\?/],
  [
    'a name that objects inherit',
    'axes: {constructor: [2]}\n',
    /axes: unknown option constructor; see --help/,
  ],
  [
    'an axis without values',
    'axes: {batch: []}\n',
    /study\.yaml:\d: axes\.batch: expected a list .*found \[\]/,
  ],
  [
    'an empty grid of rates',
    'axes: {lr: []}\n',
    /study\.yaml:3: axes\.lr: expected at least one rate, found \[\]/,
  ],
  ['a value twice', 'axes: {batch: [4, 4]}\n', /axes\.batch: expected each value once, found 4, 4/],
  ['a value of another kind', 'axes: {batch: [many]}\n', /axes\.batch: expected a number, found "many"/],
  ['a value that is out of bounds', 'axes: {rank: [0]}\n', /axes\.rank: expected at least 1, found 0/],
  ['an option that the study gives', 'axes: {steps: [4]}\n', /axes: expected length to say it, found steps/],
  ['a device as an axis', 'axes: {threads: [1, 2]}\n', /axes\.threads: expected one for all cells/],
  ['seeds that are none', 'seeds: 0\n', /seeds: expected at least 1, found 0/],
  [
    'a rate that is missing',
    'axes: {start: [random, pissa], lr: {from: {random: 0.1}}}\n',
    /start pissa, found none/,
  ],
] as const) {
  test(`${what}: one line`, async () => {
    const path = written(`options: ${options}\nlength: {steps: 2}\n${text}`);
    const message = await inputErrorOf(() => new StudyPlan(readStudyConfig(path)));
    assert.match(message, expected);
  });
}

test('no length: one line', async () => {
  const path = written(`options: ${options}\n`);
  assert.match(await inputErrorOf(() => readStudyConfig(path)), /length: expected .*tokens.*found nothing/);
});

test.run();
