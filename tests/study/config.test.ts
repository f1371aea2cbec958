import { mkdirSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { OptionTable } from '#src/options/table.js';
import { TRAIN_OPTIONS } from '#src/options/train.js';
import { seedsOf } from '#src/study/axes.js';
import { readStudyConfig } from '#src/study/config.js';
import { cellGiven, linesOf } from '#src/study/lines.js';
import { beta2At } from '#src/study/moments.js';
import { absolutePaths, fromFolder, withPaths } from '#src/study/paths.js';
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

test('an axis in kebab-case is that of its option; one of names keeps its labels, whatever it is called', () => {
  const axes = (text: string) =>
    lines(`options: ${options}\naxes: {${text}}\nlength: {steps: 4}\n`).map((line) => line.axes);
  assert.equal(axes('start: [random, full], lora-alpha: [8, 16]'), [
    { start: 'random', loraAlpha: 8 },
    { start: 'random', loraAlpha: 16 },
    { start: 'full' },
  ]);
  assert.equal(axes('init: {plain: {}, everything: {trainable: all}}'), [
    { init: 'plain' },
    { init: 'everything' },
  ]);
  assert.equal(axes(`alpha: {CPT: {}, KD: {teacher: ${teacher}, alpha: .5}}`), [
    { alpha: 'CPT' },
    { alpha: 'KD' },
  ]);
});

test('a start says both what is trained and where it begins', () => {
  const found = lines(
    `options: ${options}\naxes: {start: [random, pissa, full, ../adapter]}\nlength: {steps: 4}\n`,
  );
  const { init, trainable } = TRAIN_OPTIONS;
  assert.equal(
    found.map(({ given }) => [given.init, given.trainable]),
    [
      [init.default, trainable.default],
      ['pissa', 'lora'],
      [undefined, 'all'],
      [relative('', join(folder, '../adapter')), 'lora'],
    ],
  );
});

test('seeds: those of an axis, or as many as are asked for; at the best rate no fewer than everywhere', () => {
  const seeds = (text: string) => {
    const config = readStudyConfig(written(`options: ${options}\nlength: {steps: 4}\n${text}\n`));
    return seedsOf(config, config.seeds.best);
  };
  assert.equal(seeds('axes: {seed: [7, 3]}'), [7, 3]);
  assert.equal(seeds('seeds: {everywhere: 4}'), [0, 1, 2, 3]);
  assert.equal(seeds('seeds: {}'), [0, 1, 2]);
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

test('every option that is a path is relative to the file; names on the Hub and words stay', () => {
  const paths = Object.entries(TRAIN_OPTIONS as OptionTable).filter(([, { value }]) =>
    /PATH|FILE|DIR|MODEL|ADAPTER/.test(value ?? ''),
  );
  // The study says these itself.
  const names = paths.map(([name]) => name).filter((name) => !['config', 'out'].includes(name));
  assert.ok(names.includes('taskData') && names.length > 8, names.join());
  for (const name of names) {
    assert.is(fromFolder(name, '../here/x', 'a/b'), 'a/here/x', name);
    assert.equal(absolutePaths({ [name]: fromFolder(name, folder, 'a/b') }), { [name]: folder });
    const own = relative('', folder);
    assert.equal(absolutePaths({ [name]: own }), { [name]: folder }, name);
  }
  const hub = {
    student: 'owner/name',
    data: ['hf://datasets/owner/name/*.jsonl'],
    teacher: 'none',
    init: 'pissa',
  };
  assert.equal(withPaths(hub, 'a/b'), hub);
  assert.equal(absolutePaths({ ...hub, rank: 4 }), hub);
});

test('a name that no object can have: one line', async () => {
  for (const text of [
    'axes: {__proto__: [1, 2]}',
    'axes: {method: {b: {__proto__: {rank: 2}}}}',
    'options: {__proto__: {rank: 2}}',
    'measures: {examples: {__proto__: a.jsonl}}',
  ]) {
    const path = written(`length: {steps: 2}\n${text}\n`);
    assert.match(
      await inputErrorOf(() => readStudyConfig(path)),
      /study\.yaml:2: expected another name, found __proto__; rename it/,
    );
  }
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
  [
    'a rate of a start that is none',
    'axes: {start: [random], lr: {from: {random: 0.1, pisa: 0.2}}}\n',
    /axes\.lr\.from: expected starts of the study \(random\), found pisa; leave it out/,
  ],
  [
    'rates of starts without starts',
    'axes: {lr: {from: {random: 0.1}}}\n',
    /axes\.lr\.from: expected one rate, found rates for starts/,
  ],
  ['a rate twice', 'axes: {lr: [0.1, 1.0e-1]}\n', /axes\.lr: expected each rate once, found \[0\.1,0\.1\]/],
  ['a seed twice', 'axes: {seed: [0, 0]}\n', /axes\.seed: expected each value once, found 0, 0/],
  ['a seed that is no number', 'axes: {seed: [0, abc]}\n', /axes\.seed: expected a number, found "abc"/],
  ['a seed that is not whole', 'axes: {seed: [0.5]}\n', /axes\.seed: expected a whole number, found 0\.5/],
  ['names of seeds', 'axes: {seed: {x: {alpha: .3}}}\n', /axes\.seed: expected a list, found names with/],
  ['names of starts', 'axes: {start: {full: {rank: 4}}}\n', /axes\.start: expected a list, found names with/],
  [
    'a seed in a name',
    'axes: {method: {a: {seed: 5}, b: {}}}\n',
    /axes\.method\.a: expected axes\.seed to say it, found seed; leave it out/,
  ],
  [
    'a device in a name',
    'axes: {method: {a: {threads: 2}, b: {}}}\n',
    /axes\.method\.a: expected one for all cells, found threads/,
  ],
  [
    'fewer seeds at the best rate than everywhere',
    'seeds: {everywhere: 3, best: 1}\n',
    /seeds: expected at best as many as everywhere, or more/,
  ],
  [
    'an option that two axes say',
    'axes: {method: {a: {rank: 16}, b: {}}, rank: [4, 8]}\n',
    /axes\.method: expected axes\.rank to say it, found rank; leave it out/,
  ],
  [
    'an option that two axes of names say',
    'axes: {size: {s: {rank: 4}}, method: {a: {rank: 16}, b: {}}}\n',
    /axes\.method: expected axes\.size to say it, found rank/,
  ],
  [
    'an axis under two names',
    'axes: {lora-alpha: [4], loraAlpha: [8]}\n',
    /axes: expected each name once, found loraAlpha again/,
  ],
  [
    'an option under two names',
    'axes: {method: {a: {lora-alpha: 4, loraAlpha: 8}}}\n',
    /axes\.method\.a\.loraAlpha: expected it once, found it again/,
  ],
  [
    'what is trained beside a start',
    'axes: {start: [random], method: {a: {trainable: all}, b: {}}}\n',
    /axes\.method: expected axes\.start to say it, found trainable/,
  ],
  [
    'a rate in a name beside rates',
    'axes: {method: {a: {lr: 0.1}, b: {}}, lr: [0.1]}\n',
    /axes\.method: expected axes\.lr to say it, found lr/,
  ],
  [
    'an option that no cell has, for a list says it',
    'axes: {sequence: [16, 32]}\n',
    /options: expected axes\.sequence to say it, found sequence; leave it out/,
  ],
  [
    'an option that no cell has, for all names say it',
    'axes: {size: {s: {sequence: 16}, l: {sequence: 32}}}\n',
    /options: expected axes\.size to say it, found sequence; leave it out/,
  ],
  [
    'an axis of branches that is none',
    'axes: {start: [random]}\nbranches: {factors: [1], tokens: 64, where: {strat: random}}\n',
    /branches\.where: unknown axis strat; did you mean start\?/,
  ],
  [
    'branches where no line is',
    'axes: {start: [random, full], rank: [2]}\nbranches: {factors: [1], tokens: 64, where: {start: full, rank: 2}}\n',
    /branches\.where: expected the place of a line, found start full, rank 2, which none has/,
  ],
  [
    'a checkpoint that no cell has before its end',
    'branches: {factors: [1], at: [1, 2], tokens: 64}\n',
    /branches\.at: expected checkpoints before the last one, which is number 2 in view steps, found 2/,
  ],
  [
    'branches of cells with one checkpoint',
    'checkpoints: 1\nbranches: {factors: [1], tokens: 64}\n',
    /branches: expected checkpoints before the end of a cell, found none/,
  ],
  [
    'a factor of no whole batch',
    'axes: {batch: [10, 2]}\nbranches: {factors: [1, 1.2], tokens: 64}\n',
    /branches\.factors: expected whole batches, found 1\.2 times the 2 rows of batch 2, view steps/,
  ],
  ['a factor twice', 'branches: {factors: [1, 1], tokens: 64}\n', /factors: expected each factor once/],
] as const) {
  test(`${what}: one line`, async () => {
    const path = written(`options: ${options}\nlength: {steps: 2}\n${text}`);
    const message = await inputErrorOf(() => new StudyPlan(readStudyConfig(path)));
    assert.match(message, expected);
  });
}

test('rates and starts beside options that say them: one line', async () => {
  for (const [own, axes, expected] of [
    ['lr: 7.0e-3', 'lr: [1.0e-3]', /options: expected axes\.lr to say it, found lr; leave it out/],
    ['init: pissa', 'start: [random, full]', /options: expected axes\.start to say it, found init/],
    ['trainable: all', 'start: [random, pissa]', /options: expected axes\.start to say it, found trainable/],
    ['seed: 3', 'seed: [0, 1]', /options: expected axes\.seed to say it, found seed/],
    [`seed: ${Number.MAX_SAFE_INTEGER}`, 'seed: [0]', /options: expected axes\.seed/],
    [
      `seed: ${Number.MAX_SAFE_INTEGER}`,
      '',
      /seeds: expected at most 9007199254740991, found 9007199254740992/,
    ],
  ] as const) {
    const given = options.replace('{', `{${own}, `);
    const path = written(`options: ${given}\naxes: {${axes}}\nseeds: 2\nlength: {steps: 2}\n`);
    assert.match(await inputErrorOf(() => new StudyPlan(readStudyConfig(path))), expected);
  }
});

test('branches by an axis in kebab-case, at factors that rounding touches', () => {
  const plan = new StudyPlan(
    readStudyConfig(
      written(
        `options: ${options}\naxes: {lora-alpha: [4, 8], batch: [10]}\nlength: {steps: 4}\n` +
          'branches: {factors: [1, 1.1], at: [1, 3], tokens: 200, where: {lora-alpha: 8}}\n',
      ),
    ),
  );
  assert.equal(
    plan.lines.map((line) => plan.branchesOf(line)),
    [
      { cells: 0, tokens: 0 },
      { cells: 4, tokens: 2 * (2 * 10 + 2 * 11) * 16 },
    ],
  );
});

test('no length: one line', async () => {
  const path = written(`options: ${options}\n`);
  assert.match(await inputErrorOf(() => readStudyConfig(path)), /length: expected .*tokens.*found nothing/);
});

test.run();
