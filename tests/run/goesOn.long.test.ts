import { cpSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TrainInput, train } from 'rivulet';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { listCheckpoints } from '#src/formats/checkpointFiles.js';
import { hashFolder } from '#src/formats/hashes.js';
import { runPaths } from '#src/formats/runFolder.js';
import { madeUpData } from '../evaluation/tasks/madeUp.js';
import { makeFixture } from '../fixtures.js';
import { inputErrorOf } from '../inputErrors.js';
import { inWorld } from '../world/inMemory.js';
import { bestOf } from './inTheLoop.js';
import { type Outcome, outcomeOf, recordsOf } from './outcome.js';
import { timelessMetrics } from './process.js';

/** What a run that goes on has of the run before, and what it is held to. */

const fixture = makeFixture('goes-on');
const freshRun = () => join(mkdtempSync(join(fixture.folder, 'on-')), 'run');
const base: TrainInput = {
  ...{ student: fixture.student, data: [fixture.jsonl], batch: 2, sequence: 16, shuffleRows: 16, rank: 2 },
  ...{ evalFraction: 0, threads: 1, device: 'wasm', steps: 2, schedule: 'constant', lr: 1e-2 },
};
const copyOf = (run: string): string => {
  const out = freshRun();
  cpSync(run, out, { recursive: true });
  return out;
};
const goOn = (out: string, more: object = {}) => outcomeOf({ resume: true, out, ...more } as TrainInput);
const refusal = (options: object) => inputErrorOf(() => train(options as TrainInput).finished);
const plain = await outcomeOf({ ...base, checkpointEvery: 1 });

const tokenizers = suite('a tokenizer');

tokenizers('that is another one by now: refused', async () => {
  const student = join(mkdtempSync(join(fixture.folder, 'model-')), 'student');
  cpSync(fixture.student, student, { recursive: true });
  const { out } = await outcomeOf({ ...base, student });
  const path = join(student, 'tokenizer.json');
  writeFileSync(path, readFileSync(path, 'utf8').replaceAll('<0x41>', '<0xZZ>'));
  const expected =
    /^tokenizer in .*student: expected the one that the run began with \(SHA-256 [0-9a-f]{16}\), found /;
  assert.match(await refusal({ resume: true, out, steps: 4 }), expected);
  assert.match(await refusal({ fork: `${out}@2`, steps: 4, out: freshRun() }), expected);
});

tokenizers.run();

const seeds = suite('a seed');

seeds('of more than 32 bits drops other elements than its last 32 bits do', async () => {
  const { rank: _, ...others } = base;
  // Its rows and its start are those of any seed.
  const options = { ...others, init: join(plain.out, 'adapter'), loraDropout: 0.5, shuffleRows: 1 };
  const losses = async (seed: number) =>
    recordsOf(await outcomeOf({ ...options, seed }), 'step').map(({ loss }) => loss);
  assert.not.equal(await losses(2 ** 32 + 1), await losses(1));
});

seeds.run();

const adapters = suite('a run from an adapter');

adapters('goes on with it as it was, also where it is another one by now, or gone', async () => {
  const first = await outcomeOf({ ...base, steps: 1 });
  const init = join(first.out, 'adapter');
  const { rank: _, ...others } = base;
  const begun = await outcomeOf({ ...others, init });
  const expected = await goOn(copyOf(begun.out), { steps: 4 });
  const path = join(init, 'adapter_config.json');
  const config = readFileSync(path, 'utf8');
  writeFileSync(path, config.replace('"lora_alpha": 4', '"lora_alpha": 40'));
  const changed = await goOn(copyOf(begun.out), { steps: 4 });
  assert.ok(changed.adapter.equals(expected.adapter));
  assert.is(JSON.parse(readFileSync(runPaths(changed.out).options, 'utf8')).options.loraAlpha, 4);
  renameSync(init, `${init}-gone`);
  assert.ok((await goOn(copyOf(begun.out), { steps: 4 })).adapter.equals(expected.adapter));
  const forked = await outcomeOf({ fork: `${begun.out}@2`, steps: 4, out: freshRun() } as TrainInput);
  assert.ok(forked.adapter.equals(expected.adapter));
});

adapters.run();

const lost = suite('--resume without checkpoints');

const withoutCheckpoints = (run: string, ...others: readonly string[]): string => {
  const out = copyOf(run);
  for (const name of ['checkpoints', ...others]) rmSync(join(out, name), { recursive: true, force: true });
  return out;
};

lost('of a run that has made something: refused, and left as it is', async () => {
  for (const [others, shown] of [
    [
      [],
      /expected the checkpoints of the run, found none, but .*adapter, which it has made; put them back, or begin a new run/,
    ],
    [['adapter'], /found none, but records of some in .*metrics\.jsonl; /],
    [['metrics.jsonl'], /found none, but .*adapter, which it has made; /],
  ] as const) {
    const out = withoutCheckpoints(plain.out, ...others);
    const before = await hashFolder(out);
    assert.match(await refusal({ resume: true, out }), shown);
    assert.is(await hashFolder(out), before);
  }
});

lost('of a fork: refused, since it would begin elsewhere', async () => {
  const forked = await outcomeOf({ fork: `${plain.out}@1`, out: freshRun() } as TrainInput);
  const out = withoutCheckpoints(forked.out, 'adapter', 'metrics.jsonl');
  assert.match(
    await refusal({ resume: true, out }),
    /found none, but a fork of .*@1, which begins with one; /,
  );
});

lost('of a run that saved nothing: begins anew', async () => {
  const out = withoutCheckpoints(plain.out, 'adapter');
  const { metrics } = runPaths(out);
  const records = readFileSync(metrics, 'utf8').split('\n');
  writeFileSync(metrics, `${records.slice(0, 2).join('\n')}\n`);
  const run = train({ resume: true, out } as TrainInput);
  assert.is((await run.prepared).resumedFrom, undefined);
  await run.finished;
  assert.ok(readFileSync(join(out, 'adapter/adapter_model.safetensors')).equals(plain.adapter));
});

lost('of a run without examples: its start is saved again', async () => {
  const start = await outcomeOf({ ...base, examples: 0 });
  assert.ok((await goOn(copyOf(start.out))).adapter.equals(start.adapter));
});

lost.run();

const caches = suite('--resume with a cache');

caches('a kill before the next checkpoint leaves a run that can be resumed and forked', async () => {
  const { out } = await outcomeOf({ ...base, teacher: fixture.teacher, packing: 'best-fit' });
  const teacherCache = join(mkdtempSync(join(fixture.folder, 'cache-')), 'states');
  const longer = await goOn(out, { steps: 4, teacherCache });
  rmSync(listCheckpoints(runPaths(out).checkpoints).at(-1)!.path, { recursive: true });
  assert.ok((await goOn(copyOf(out))).adapter.equals(longer.adapter));
  const forked = await outcomeOf({ fork: `${out}@2`, out: freshRun() } as TrainInput);
  assert.ok(forked.adapter.equals(longer.adapter));
});

caches.run();

const forks = suite('--fork');

forks('with tasks of another kind, or with other items: evaluates those', async () => {
  const evaluated: TrainInput = { ...base, checkpointEvery: 1, evalTasks: ['winogrande'], shots: 0 };
  const { out } = await outcomeOf({ ...evaluated, taskData: madeUpData(), limit: 2 });
  const fork = `${out}@1`;
  const fewer = await outcomeOf({ fork, limit: 1, out: freshRun() } as TrainInput);
  assert.equal(recordsOf(fewer, 'tasks')[0]!.items, { winogrande: 1 });
  const others = { evalTasks: ['gsm8k'], maxTokens: 2 };
  const other = await outcomeOf({ fork, ...others, out: freshRun() } as unknown as TrainInput);
  assert.equal(
    recordsOf(other, 'tasks').map(({ results }) => Object.keys(results)),
    [['gsm8k'], ['gsm8k']],
  );
  assert.ok(other.adapter.equals(fewer.adapter));
});

forks.run();

const lengths = suite('--resume with a length that is another end');

const evaluated: TrainInput = {
  ...{ ...base, evalFraction: 0.3, evalTokens: 64, evalEvery: 4, keepBest: 'nll' },
};
/** Nothing is ever better than the start: patience is used up after the second evaluation. */
const hopeless: Partial<TrainInput> = {
  ...{ evalTasks: ['winogrande'], taskData: madeUpData(), shots: 0, limit: 1 },
  ...{ evalEvery: 2, earlyStop: 'winogrande/acc:1', lr: 1e-9 },
};
/** What a run has told, and its best, but for how long it was to be, and where it is. */
const told = ({ out }: Outcome): string[] =>
  timelessMetrics(out)
    .map((line) => line.replaceAll(out, 'RUN'))
    .filter((line) => !/^\{"type":"(start|length)"/.test(line));

/** Stops after `step` steps. */
async function stoppedAt(step: number, options: TrainInput): Promise<string> {
  const out = freshRun();
  const run = train({ ...options, out });
  run.metrics$.subscribe((record) => {
    if (record.type === 'step' && record.step === step) run.stop();
  });
  assert.is((await run.finished).steps, step);
  return out;
}

lengths('the steps that are done: with the evaluation of a last step, and what depends on it', async () => {
  for (const patience of [{}, hopeless]) {
    const options = { ...evaluated, ...patience };
    const short = await outcomeOf({ ...options, steps: 3 });
    const out = await stoppedAt(3, { ...options, steps: 10 });
    for (const more of [{ steps: 3 }, {}]) {
      const cut = await goOn(out, more);
      assert.equal(told(cut), told(short));
      assert.equal(bestOf(cut.out), bestOf(short.out));
    }
    assert.is(recordsOf(short, 'eval').at(-1)!.step, 3);
    assert.is(recordsOf(short, 'end')[0]!.early_stop?.patience, patience === hopeless ? 1 : undefined);
    if (patience === hopeless) continue;
    // A checkpoint says how often its run evaluated: here it has that evaluation already.
    const whole = await stoppedAt(3, { ...options, evalEvery: 3, keepBest: undefined, steps: 10 });
    const again = await goOn(whole, { evalEvery: 4, steps: 3 });
    assert.equal(
      told(again).map((line) => JSON.parse(line).type),
      ['eval', 'step', 'step', 'step', 'eval', 'checkpoint', 'end'],
    );
  }
});

lengths('the same of two ranks', async () => {
  const options = { ...evaluated, ...hopeless, microBatch: 1 };
  const out = await stoppedAt(3, { ...options, steps: 10 });
  const alone = await goOn(copyOf(out), { steps: 3 });
  const ranks = await inWorld(
    2,
    (world) => train({ resume: true, out, steps: 3 } as TrainInput, world).finished,
  );
  assert.equal(
    ranks.map(({ finished }) => finished),
    [true, true],
  );
  assert.equal(told({ ...alone, out }), told(alone));
});

lengths(
  'of a run whose patience was used up at its last step: it is over, as a longer one would be',
  async () => {
    const options: TrainInput = { ...evaluated, ...hopeless };
    const short = await outcomeOf({ ...options, steps: 4 });
    const long = await outcomeOf({ ...options, steps: 8 });
    assert.is(recordsOf(long, 'end')[0]!.step, 4);
    assert.equal(told(short), told(long));
    assert.match(
      await refusal({ resume: true, out: short.out, steps: 8 }),
      /^--steps: expected 4 steps or none given for a run that --early-stop ended after step 4 .*, found 8; /,
    );
  },
);

lengths.run();
