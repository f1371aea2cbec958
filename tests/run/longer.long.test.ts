import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TrainInput, tokenize, train } from 'rivulet';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { listCheckpoints } from '#src/formats/checkpointFiles.js';
import { runPaths } from '#src/formats/runFolder.js';
import { makeFixture } from '../fixtures.js';
import { inputErrorOf } from '../inputErrors.js';
import { type Outcome, outcomeOf, recordsOf } from './outcome.js';
import { adapterBytes, runProgram, timelessMetrics } from './process.js';

/** Runs that go on longer than they began, for so many epochs, or from another run's checkpoint. */

const fixture = makeFixture('longer');
const freshRun = () => join(mkdtempSync(join(fixture.folder, 'longer-')), 'run');
const base: TrainInput = {
  ...{ student: fixture.student, data: [fixture.jsonl], batch: 4, microBatch: 2, sequence: 16 },
  ...{ shuffleRows: 16, evalFraction: 0.2, evalTokens: 64, evalEvery: 4, threads: 1, checkpointEvery: 2 },
  ...{ lr: 1e-2, warmup: 0, loraDropout: 0.1, weightDecay: 0.01, keep: 9 },
};
const withoutText = { evalFraction: 0, evalTokens: undefined, evalEvery: undefined };
const copyOf = (run: string): string => {
  const out = freshRun();
  cpSync(run, out, { recursive: true });
  return out;
};
const same = (a: Outcome, b: Outcome) => assert.ok(a.adapter.equals(b.adapter));

const constant = await outcomeOf({ ...base, schedule: 'constant', steps: 6 });
const cosine = await outcomeOf({ ...base, steps: 6 });

const resumes = suite('--resume with another length');

resumes(
  'a finished run of a constant rate: the adapter of one that was that long from the start',
  async () => {
    const short = await outcomeOf({ ...base, schedule: 'constant', steps: 4 });
    const longer = await outcomeOf({ resume: true, out: copyOf(short.out), steps: 6 } as TrainInput);
    same(longer, constant);
    const told = timelessMetrics(longer.out).map((line) => JSON.parse(line));
    assert.equal(
      told.map(({ type, step }) => `${type} ${step ?? ''}`.trim()),
      (
        'start,eval 0,step 1,step 2,checkpoint 2,step 3,step 4,eval 4,checkpoint 4,length 4,' +
        'step 5,step 6,eval 6,checkpoint 6,end 6'
      ).split(','),
    );
    const again = await outcomeOf({ resume: true, out: longer.out } as TrainInput);
    assert.equal(
      again.records.map(({ type }) => type).filter((type) => type !== 'progress'),
      ['end'],
      'it is as long as it became',
    );
    assert.equal(timelessMetrics(longer.out).length, told.length);
  },
);

resumes('wsd before its decay goes on, after it not, but from a checkpoint before', async () => {
  const wsd = await outcomeOf({ ...base, schedule: 'wsd', decay: 0.25, steps: 8 });
  const out = copyOf(wsd.out);
  assert.match(
    await inputErrorOf(() => train({ resume: true, out, steps: 16 } as TrainInput).finished),
    /^--steps: expected 8 steps, as the wsd schedule .* found 16: step 8 would have had the rate 0\.01000, not 0\.005000; .*--fork/,
  );
  for (const { path, step } of listCheckpoints(runPaths(out).checkpoints))
    if (step > 6) rmSync(path, { recursive: true });
  const longer = await outcomeOf({ resume: true, out, steps: 16 } as TrainInput);
  same(longer, await outcomeOf({ ...base, schedule: 'wsd', decay: 0.25, steps: 16 }));
});

for (const [length, expected] of [
  [
    { steps: 12 },
    /^--steps: expected 6 steps, as the cosine schedule of the run began with, found 12: step 2 /,
  ],
  [{ tokens: 4 * 16 * 12 }, /^--tokens: expected 6 steps, as the cosine .* found 12: /],
  [{ epochs: 1 }, /^--epochs: expected 6 steps, as the cosine /],
  [{ steps: 5 }, /^--steps: expected at least the 6 steps that are done, found 5; raise it$/],
] as const) {
  resumes(
    `${JSON.stringify(length)} of a cosine's 6 steps: refused with the reason, nothing written`,
    async () => {
      const before = readFileSync(runPaths(cosine.out).metrics);
      const options = { resume: true, out: cosine.out, ...length } as TrainInput;
      assert.match(await inputErrorOf(() => train(options).finished), expected);
      assert.ok(readFileSync(runPaths(cosine.out).metrics).equals(before));
    },
  );
}

resumes.run();

const epochs = suite('--epochs');

for (const [what, change] of [
  ['a stream', withoutText],
  ['best-fit, some of it held out', { packing: 'best-fit', evalFraction: 0.2 }],
] satisfies [string, Partial<TrainInput>][]) {
  epochs(`of ${what}: every document is read so many times`, async () => {
    const data = join(fixture.folder, 'named.jsonl');
    writeFileSync(data, readFileSync(fixture.jsonl));
    const run = await outcomeOf({ ...base, ...change, data: [data], epochs: 2, checkpointEvery: 1000 });
    const { steps } = recordsOf(run, 'start')[0]!;
    const { tokens } = recordsOf(run, 'step').at(-1)!;
    const corpus = await tokenize({ model: fixture.student, data: [data] });
    const pairs = 2 * (corpus.tokens - corpus.documents);
    if (change.evalFraction === 0) {
      assert.is(steps, Math.ceil(pairs / 64));
      assert.ok(tokens >= pairs && tokens < pairs + 64);
    } else assert.ok(tokens > 0.6 * pairs && tokens < pairs);
    const counts = run.records.filter(
      (record) => record.type === 'progress' && record.doing === 'counting the text',
    );
    assert.ok(counts.length > 0, 'progress is told');
    assert.match(readFileSync(join(run.out, 'run.json'), 'utf8'), `"steps": ${steps},`);
  });
}

epochs('shards come to the same', async () => {
  const shards = join(fixture.folder, 'shards');
  await tokenize({ model: fixture.student, data: [fixture.jsonl], out: shards });
  const given = { ...base, ...withoutText, epochs: 0.5, checkpointEvery: 1000 };
  same(await outcomeOf({ ...given, data: [shards] }), await outcomeOf(given));
});

epochs.run();

const forks = suite('--fork');

forks('with nothing changed: the adapter of the run, in a folder of its own', async () => {
  const forked = await outcomeOf({ fork: `${cosine.out}@4`, out: freshRun() } as TrainInput);
  same(forked, cosine);
  const [start] = recordsOf(forked, 'start');
  assert.equal(start!.fork, { run: cosine.out, step: 4 });
  assert.equal(
    timelessMetrics(forked.out).map((line) => JSON.parse(line).type),
    ['start', 'eval', 'step', 'step', 'eval', 'checkpoint', 'end'],
  );
  assert.is(recordsOf(forked, 'eval')[0]!.step, 4);
  assert.is(recordsOf(forked, 'eval')[0]!.nll, recordsOf(cosine, 'eval').find(({ step }) => step === 4)!.nll);
  assert.match(readFileSync(join(forked.out, 'run.json'), 'utf8'), `"fork": "${cosine.out}@4"`);
});

forks(
  'with another batch, rate and schedule: goes on at the very row, and can be resumed without the run',
  async () => {
    const origin = copyOf(constant.out);
    const change = { batch: 8, lr: 5e-3, schedule: 'linear', steps: 8 } as const;
    const forked = await outcomeOf({ fork: `${origin}@2`, ...change, out: freshRun() } as TrainInput);
    const steps = recordsOf(forked, 'step');
    assert.equal(
      steps.map(({ step }) => step),
      [3, 4, 5, 6, 7, 8],
    );
    assert.equal(
      steps.map(({ lr }) => lr),
      [3, 4, 5, 6, 7, 8].map((step) => 5e-3 * (1 - (step - 1) / 8)),
    );
    // The first step's rows are those of the run's steps 3 and 4.
    assert.is(steps[0]!.tokens, recordsOf(constant, 'step')[3]!.tokens);
    const cut = copyOf(forked.out);
    for (const { path, step } of listCheckpoints(runPaths(cut).checkpoints))
      if (step > 2) rmSync(path, { recursive: true });
    rmSync(join(cut, 'adapter'), { recursive: true });
    rmSync(origin, { recursive: true });
    same(await outcomeOf({ resume: true, out: cut } as TrainInput), forked);
    assert.equal(
      timelessMetrics(cut).map((line) => line.replaceAll(cut, forked.out)),
      timelessMetrics(forked.out),
    );
  },
);

forks(
  'without enough steps, from a step that is not there, or a damaged one: refused, nothing written',
  async () => {
    const out = freshRun();
    const refusal = (options: object) =>
      inputErrorOf(() => train({ out, ...options } as TrainInput).finished);
    assert.match(
      await refusal({ fork: `${cosine.out}@6` }),
      '--fork: expected more than the 6 steps that are done, found 6; raise --steps',
    );
    assert.match(await refusal({ fork: `${cosine.out}@3` }), 'found none of step 3; there are: 2, 4, 6');
    const damaged = copyOf(cosine.out);
    writeFileSync(join(damaged, 'checkpoints/step-00000004/optimizer.safetensors'), 'x');
    assert.match(
      await refusal({ fork: `${damaged}@4` }),
      'optimizer.safetensors: expected the file that was written',
    );
    assert.match(
      await refusal({ fork: `${cosine.out}@4`, out: cosine.out }),
      '--out: expected a folder without a run',
    );
    assert.equal(readdirSync(join(out, '..')), []);
  },
);

forks.run();

const plans = suite('--dry-run as a file');

plans('serves again and again: each run has a folder and a micro-batch of its own', async () => {
  const cwd = mkdtempSync(join(fixture.folder, 'longer-'));
  const args = ['--student', fixture.student, '--data', fixture.jsonl, '--batch', '4', '--sequence', '16'];
  const short = ['--steps', '1', '--eval-fraction', '0', '--shuffle-rows', '16', '--threads', '1'];
  const { stdout, code, stderr } = await runProgram('train', [...args, ...short, '--dry-run'], { cwd });
  assert.is(code, 0, stderr);
  assert.not.match(stdout, /^(out|microBatch|fork|packing):/m);
  assert.equal(readdirSync(cwd), []);
  writeFileSync(join(cwd, 'run.yaml'), stdout);
  for (const folder of ['0001', '0002']) {
    const run = await runProgram('train', ['--config', 'run.yaml'], { cwd });
    assert.is(run.code, 0, run.stderr);
    assert.match(run.stdout, `runs/${folder}/adapter`);
  }
  assert.ok(adapterBytes(join(cwd, 'runs/0001')).equals(adapterBytes(join(cwd, 'runs/0002'))));
});

plans('of a run that goes on for so many epochs, too', async () => {
  const cwd = mkdtempSync(join(fixture.folder, 'longer-'));
  const run = await outcomeOf({ ...base, ...withoutText, epochs: 0.1, checkpointEvery: 1 });
  for (const [from, expected] of [
    [['--resume', '--out', run.out], /^# {3}length {4}\d+ steps?, /m],
    [['--fork', `${run.out}@1`, '--batch', '2'], /^epochs: 0\.1$/m],
  ] as const) {
    const { stdout, stderr, code } = await runProgram('train', [...from, '--dry-run'], { cwd });
    assert.is(code, 0, stderr);
    assert.match(stdout, expected);
    writeFileSync(join(cwd, 'run.yaml'), stdout);
    const given = ['--config', 'run.yaml', '--out', 'new', '--dry-run'];
    const again = await runProgram('train', given, { cwd });
    assert.is(again.code, 0, again.stderr);
    const length = (text: string) => /length.*/.exec(text)![0];
    assert.is(length(again.stdout), length(stdout));
  }
});

plans.run();
