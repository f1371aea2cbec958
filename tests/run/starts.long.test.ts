import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { evaluate, type TrainInput } from 'rivulet';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openSafetensors, readFloat32 } from '#src/formats/safetensors.js';
import { makeFixture, makeText } from '../fixtures.js';
import { inputErrorOf } from '../inputErrors.js';
import { temporaryFolder } from '../support.js';
import { killRuns, runOptions, undisturbed } from './kills.js';
import { type Outcome, outcomeOf, recordsOf } from './outcome.js';

/** Whole runs whose adapters start with singular vectors. */

const useCache = (folder: string) => {
  process.env.RIVULET_CACHE = folder;
  return join(folder, 'starts', '2');
};
const kept = useCache(temporaryFolder('starts-cache'));

const fixture = makeFixture('run-starts');
const freshFolder = () => mkdtempSync(join(fixture.folder, 'starts-'));
const heldOut = join(fixture.folder, 'held-out.txt');
writeFileSync(heldOut, makeText(3, 60));
const base: TrainInput = {
  ...{ student: fixture.student, data: [fixture.text], batch: 4, microBatch: 2, sequence: 16, steps: 4 },
  ...{ shuffleRows: 64, threads: 1, device: 'wasm', lr: 1e-2, warmup: 0, schedule: 'constant' },
  ...{ evalData: heldOut, evalTokens: 4096, evalEvery: 4, checkpointEvery: 2, keep: 9 },
  ...{ rank: 4, loraDropout: 0.1, rankPattern: { v_proj: 2 }, alphaPattern: { up_proj: 3 } },
};
/** What an adapter to start from says itself. */
const ITS_OWN = { rank: undefined, loraDropout: undefined, rankPattern: undefined, alphaPattern: undefined };
const plain = await outcomeOf(base);
const [pissa, milora] = [
  await outcomeOf({ ...base, init: 'pissa' }),
  await outcomeOf({ ...base, init: 'milora' }),
];

const nllOf = (outcome: Outcome, step: number) =>
  recordsOf(outcome, 'eval').find((record) => record.step === step)!.nll;
const configOf = ({ out }: Outcome) =>
  JSON.parse(readFileSync(join(out, 'adapter', 'adapter_config.json'), 'utf8'));
const tensorsOf = (folder: string) => openSafetensors(join(folder, 'adapter_model.safetensors')).tensors;
const same = (a: Outcome, b: Outcome) => assert.ok(a.adapter.equals(b.adapter));

const runs = suite('runs from singular vectors');

for (const [name, run] of [
  ['pissa', pissa],
  ['milora', milora],
] as const) {
  runs(`${name}: the model is the bare one before the first step, and learns`, () => {
    assert.ok(Math.abs(nllOf(run, 0) - nllOf(plain, 0)) < 1e-5);
    assert.ok(nllOf(run, 4) < nllOf(run, 0) - 0.01);
    assert.not.equal(nllOf(run, 4), nllOf(plain, 4));
    assert.is(recordsOf(run, 'start')[0]!.options.init, name);
    assert.is(JSON.parse(readFileSync(join(run.out, 'run.json'), 'utf8')).options.init, name);
    assert.is(recordsOf(run, 'start')[0]!.parameters, recordsOf(plain, 'start')[0]!.parameters);
    // How far it is, is told now and then; that it begins, at once.
    const told = recordsOf(run, 'progress').find(({ doing }) => doing === 'starting point');
    assert.equal(told, { type: 'progress', doing: 'starting point', done: 0, total: 14, unit: 'matrices' });
  });

  runs(`${name}: saved as a plain adapter of twice the rank, which evaluates as the run did`, async () => {
    const { r, lora_alpha, init_lora_weights, rank_pattern, alpha_pattern } = configOf(run);
    assert.equal([r, lora_alpha, init_lora_weights], [8, 16, true]);
    assert.equal([rank_pattern, alpha_pattern], [{ v_proj: 4 }, { up_proj: 6 }]);
    const adapter = join(run.out, 'adapter');
    const shape = { sequence: 16, threads: 1, device: 'wasm' as const };
    const { nll } = await evaluate({ model: fixture.student, adapter, perplexity: heldOut, ...shape });
    assert.ok(Math.abs(nll - nllOf(run, 4)) < 1e-5, `${nll} for ${nllOf(run, 4)}`);
  });
}

runs('an adapter that was saved is a start itself, of a plain run', async () => {
  const init = join(pissa.out, 'adapter');
  const again = await outcomeOf({ ...base, ...ITS_OWN, init, steps: 1 });
  assert.ok(Math.abs(nllOf(again, 0) - nllOf(pissa, 4)) < 1e-5);
  assert.is(configOf(again).r, 8);
});

runs('a checkpoint holds A, B, A0 and B0: what began stays as it was', () => {
  const [two, four] = [2, 4].map((step) =>
    tensorsOf(join(pissa.out, 'checkpoints', `step-0000000${step}`, 'adapter')),
  );
  const name = 'base_model.model.model.layers.1.mlp.down_proj.lora_A.weight';
  const [early, late] = [two!, four!].map((tensors) => readFloat32(tensors.get(name)!));
  const half = early!.length / 2;
  assert.equal(early!.subarray(half), late!.subarray(half));
  assert.not.equal(early!.subarray(0, half), late!.subarray(0, half));
});

runs('--init random says what holds anyway', async () => {
  same(await outcomeOf({ ...base, init: 'random' }), plain);
});

runs('--resume and --fork go on with the same bits, and look for no vectors', async () => {
  const empty = useCache(temporaryFolder('starts-empty'));
  const out = join(freshFolder(), 'run');
  const short = await outcomeOf({ ...base, init: 'pissa', steps: 2, out });
  const found = readdirSync(empty).length;
  const elsewhere = useCache(temporaryFolder('starts-empty'));
  same(await outcomeOf({ resume: true, out: short.out, steps: 4 } as TrainInput), pissa);
  same(await outcomeOf({ fork: `${pissa.out}@2`, out: join(freshFolder(), 'fork') } as TrainInput), pissa);
  assert.ok(found > 0 && !existsSync(elsewhere));
  process.env.RIVULET_CACHE = join(kept, '../..');
});

runs('what is kept is found again, for other ranks too, and with the same bits', async () => {
  const files = readdirSync(kept);
  assert.is(files.length, 28, 'one a matrix and end');
  assert.is(readdirSync(kept).filter((name) => name.startsWith('.')).length, 0);
  same(await outcomeOf({ ...base, init: 'pissa' }), pissa);
  await outcomeOf({ ...base, init: 'pissa', rank: 7, steps: 1 });
  assert.equal(readdirSync(kept), files);
});

runs('what is damaged is told in a line and made anew', async () => {
  const path = join(kept, readdirSync(kept).find((name) => name.includes('-first-'))!);
  const whole = readFileSync(path);
  const lines: string[] = [];
  const listen = ({ message }: Error) => lines.push(message);
  process.on('warning', listen);
  writeFileSync(path, Buffer.concat([whole.subarray(0, -1), Buffer.from([255])]));
  same(await outcomeOf({ ...base, init: 'pissa' }), pissa);
  process.off('warning', listen);
  assert.ok(readFileSync(path).equals(whole));
  assert.equal(lines, [
    `${path}: expected singular vectors as they were kept, found others; they are made anew`,
  ]);
});

runs('a cache that can not be written costs time, nothing else', async () => {
  const file = join(freshFolder(), 'file');
  writeFileSync(file, '');
  process.env.RIVULET_CACHE = file;
  const lines: string[] = [];
  const listen = ({ message }: Error) => lines.push(message);
  process.on('warning', listen);
  same(await outcomeOf({ ...base, init: 'pissa' }), pissa);
  process.off('warning', listen);
  assert.equal(lines, [
    `${join(file, 'starts/2')}: expected a folder to keep singular vectors in, found ENOTDIR; the next run finds them again`,
  ]);
  process.env.RIVULET_CACHE = join(kept, '../..');
});

runs('killed twice: no byte is another one', async () => {
  const options = { ...runOptions(fixture), init: 'pissa' };
  const reference = await undisturbed(fixture, options);
  assert.is((await killRuns(fixture, reference, 2, 5, options)).length, 2);
});

runs.run();

const wrong = suite('wrong starts');
const refused = async (change: Partial<TrainInput>) => {
  const out = join(freshFolder(), 'run');
  const message = await inputErrorOf(() => outcomeOf({ ...base, out, ...change } as TrainInput));
  assert.not(existsSync(out));
  return message;
};

wrong('a rank beyond the singular vectors of a layer', async () => {
  assert.is(
    await refused({ init: 'milora', rankPattern: { 'layers.1.self_attn.k_proj': 9000 } }),
    '--init milora: expected a rank of at most 16 for model.layers.1.self_attn.k_proj, which has no more singular ' +
      'vectors, found 9000; lower --rank or --rank-pattern',
  );
});

wrong('a folder that is called as a formula is one by its path', async () => {
  const folder = join(freshFolder(), 'pissa');
  mkdirSync(folder);
  assert.match(await refused({ init: folder }), /pissa.*expected/);
  assert.match(await refused({ init: 'pisa' }), /pisa/);
});

wrong('with --trainable all', async () => {
  const { rank: _, loraDropout: __, rankPattern: ___, alphaPattern: ____, ...others } = base;
  const options = { ...others, trainable: 'all' as const, init: 'pissa' };
  assert.match(
    await inputErrorOf(() => outcomeOf(options)),
    /^--init: expected --trainable lora with it, found --trainable all; leave one out$/,
  );
});

wrong.run();
