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
import { outcomeOf, recordsOf } from './outcome.js';

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
    [[], /expected the checkpoints of the run, found none, but .*adapter; put them back, or begin a new run/],
    [['adapter'], /found none, but records of some in .*metrics\.jsonl; /],
    [['metrics.jsonl'], /found none, but .*adapter; /],
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
