import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { evaluate, loadModel, type TrainInput, train } from 'rivulet';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { writeAdapter } from '#src/formats/adapter.js';
import { listCheckpoints } from '#src/formats/checkpointFiles.js';
import { openSafetensors } from '#src/formats/safetensors.js';
import { adapterConfig, type LoraOptions, loraShapes } from '#src/model/lora.js';
import { openModelFiles } from '#src/model/modelFiles.js';
import { randomLora } from '#src/training/initialise.js';
import { makeFixture } from '../fixtures.js';
import { floatSources } from '../formats/tensors.js';
import { inputErrorOf } from '../inputErrors.js';
import { sharedPath } from '../support.js';
import { outcomeOf, recordsOf } from './outcome.js';

/** Adapters of some layers, of ranks above a layer's sides, and those that runs made. */

const fixture = makeFixture('adapters');
const freshFolder = () => mkdtempSync(join(fixture.folder, 'adapters-'));
const base: TrainInput = {
  student: fixture.student,
  data: [fixture.text],
  ...{ batch: 4, microBatch: 4, sequence: 16, steps: 2, threads: 1, shuffleRows: 64, device: 'wasm' },
  ...{ evalFraction: 0, checkpointEvery: 1, lr: 1e-2, warmup: 0 },
};
const tensorsIn = (folder: string) => openSafetensors(join(folder, 'adapter_model.safetensors')).tensors;
const configIn = (folder: string) => JSON.parse(readFileSync(join(folder, 'adapter_config.json'), 'utf8'));
const finish = async (options: Partial<TrainInput>) =>
  (await train({ ...base, out: join(freshFolder(), 'run'), ...options }).finished) as { out: string };

const peft = suite('adapters of PEFT');
const cases = sharedPath('cases/adapters');
const stories = sharedPath('data/models/stories260k');
const withShared = cases && stories ? peft : peft.skip;
const IDS = [1, ...Array.from({ length: 40 }, (_, i) => 300 + i)];

/** Mean cross-entropy of IDS, in nats. */
async function lossOf(adapter: string | undefined): Promise<number> {
  const model = await loadModel(stories!, { sequence: 64, adapter, device: 'wasm', threads: 1 });
  const logits = await model.logits(IDS);
  await model.close();
  const vocabulary = logits.length / IDS.length;
  const losses = IDS.slice(1).map((id, i) => {
    const row = logits.subarray(i * vocabulary, (i + 1) * vocabulary);
    const most = Math.max(...row);
    return most + Math.log(row.reduce((sum, x) => sum + Math.exp(x - most), 0)) - row[id]!;
  });
  return losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
}

for (const name of ['bare', 'exclude', 'fullname', 'layers_to_transform', 'regex_layer0']) {
  withShared(`the loss of ${name} is PEFT's`, async () => {
    const expected = JSON.parse(readFileSync(join(cases!, 'expected.json'), 'utf8'))[name];
    const loss = await lossOf(name === 'bare' ? undefined : join(cases!, name));
    assert.ok(Math.abs(loss - expected) < 2e-5, `${loss} for ${expected}`);
  });
}

peft.run();

const layers = suite('some layers');
const { config } = openModelFiles(fixture.student);

/** An adapter of the student with the modules that are named. */
async function adapterOf(modules: string[]): Promise<string> {
  const folder = join(freshFolder(), 'adapter');
  const kinds = [...new Set(modules.map((name) => name.slice(name.lastIndexOf('.') + 1)))];
  const lora: LoraOptions = {
    ...{ rank: 2, alpha: 4, rsLora: false, dropout: 0, targetModules: kinds, modules },
  };
  const tensors = randomLora(loraShapes(config, lora), 3);
  const loaded = new Map([...tensors].map(([name, { shape, data }]) => [name, { shape, data }]));
  await writeAdapter(folder, adapterConfig(lora, fixture.student), floatSources(loaded));
  return folder;
}

layers(
  'a run that starts from an adapter of some layers trains those, and writes them as its target',
  async () => {
    const modules = ['model.layers.0.mlp.up_proj', 'model.layers.1.self_attn.q_proj'];
    const init = await adapterOf(modules);
    const { out } = await finish({ init });
    const made = join(out, 'adapter');
    assert.equal(configIn(made).target_modules, modules);
    assert.equal([...tensorsIn(made).keys()].sort(), [...tensorsIn(init).keys()].sort());
    // Its own are read again, from the run's folder.
    const again = await finish({ init: out });
    assert.equal(configIn(join(again.out, 'adapter')).target_modules, modules);
  },
);

layers('an adapter with all layers of its kinds names the kinds', async () => {
  const init = await adapterOf([0, 1].map((layer) => `model.layers.${layer}.self_attn.q_proj`));
  const { out } = await finish({ init });
  assert.equal(configIn(join(out, 'adapter')).target_modules, ['q_proj']);
});

layers.run();

const ranks = suite('large ranks');

ranks('a rank above the sides of a layer trains, and evaluates as it was trained', async () => {
  const heldOut = fixture.text;
  const run = await outcomeOf({ ...base, rank: 40, evalData: heldOut, evalEvery: 1 });
  const steps = recordsOf(run, 'step');
  assert.is(steps.length, 2);
  assert.ok(steps.every(({ loss }) => Number.isFinite(loss)));
  const tensors = tensorsIn(join(run.out, 'adapter'));
  const k = 'base_model.model.model.layers.1.self_attn.k_proj';
  assert.equal(tensors.get(`${k}.lora_A.weight`)!.shape, [40, 24]);
  assert.equal(tensors.get(`${k}.lora_B.weight`)!.shape, [16, 40]);
  const [first, last] = [recordsOf(run, 'eval')[0]!, recordsOf(run, 'eval').at(-1)!];
  assert.ok(last.nll < first.nll, `${last.nll} after ${first.nll}`);
  const { nll } = await evaluate({
    ...{ model: fixture.student, adapter: run.out, perplexity: heldOut },
    ...{ sequence: 16, device: 'wasm', threads: 1 },
  });
  assert.ok(Math.abs(nll - last.nll) < 1e-5, `${nll} for ${last.nll}`);
});

ranks.run();

const runs = suite('what a run made');

runs('a folder of a run or of a checkpoint stands for the adapter in it', async () => {
  const { out } = await finish({});
  const checkpoint = listCheckpoints(join(out, 'checkpoints')).at(-1)!.path;
  const losses = [];
  for (const adapter of [join(out, 'adapter'), out, checkpoint]) {
    const model = await loadModel(fixture.student, { sequence: 16, adapter, device: 'wasm', threads: 1 });
    losses.push((await model.perplexity('Once upon a time')).nll);
    await model.close();
  }
  assert.equal(losses, [losses[0], losses[0], losses[0]]);
  await finish({ init: checkpoint });
  rmSync(join(out, 'adapter'), { recursive: true });
  const message = await inputErrorOf(() => loadModel(fixture.student, { sequence: 16, adapter: out }));
  assert.is(
    message,
    `${out}: expected adapter/, as a run or a checkpoint has, found nothing yet; take its newest checkpoint, ${checkpoint}`,
  );
});

runs('a run that trained all weights stands for the model in it, never for an adapter', async () => {
  const { out } = await finish({ trainable: 'all' });
  const model = await loadModel(out, { sequence: 16, device: 'wasm', threads: 1 });
  await model.close();
  const made = await finish({ student: out });
  assert.is(configIn(join(made.out, 'adapter')).base_model_name_or_path, join(out, 'model'));
  const message = await inputErrorOf(() => loadModel(fixture.student, { sequence: 16, adapter: out }));
  assert.match(
    message,
    /expected adapter\/, as a run or a checkpoint has, found model\/ alone; choose another folder$/,
  );
  const other = join(freshFolder(), 'run');
  await inputErrorOf(() => train({ ...base, init: out, out: other }).finished);
  assert.not(existsSync(other));
});

runs.run();

const dropouts = suite('dropout of a run from an adapter');

dropouts('is its own, or the one that was given, also after a resume', async () => {
  const init = join((await finish({ rank: 4, loraDropout: 0.25 })).out, 'adapter');
  const own = await outcomeOf({ ...base, init });
  assert.is(recordsOf(own, 'start')[0]!.options.loraDropout, 0.25);
  assert.is(recordsOf(own, 'start')[0]!.options.rank, 4);

  const whole = await outcomeOf({ ...base, init, loraDropout: 0.5, steps: 4, keep: 9 });
  assert.is(recordsOf(whole, 'start')[0]!.options.loraDropout, 0.5);
  assert.not(whole.adapter.equals((await outcomeOf({ ...base, init, steps: 4 })).adapter));
  for (const { step, path } of listCheckpoints(join(whole.out, 'checkpoints'))) {
    if (step > 2) rmSync(path, { recursive: true });
  }
  const resumed = await outcomeOf({ resume: true, out: whole.out });
  assert.ok(resumed.adapter.equals(whole.adapter), 'the resumed run drops as it began');
});

dropouts('a dry run prints what can be given again', async () => {
  const init = join((await finish({ rank: 4, rslora: true, targetModules: 'v_proj,q_proj' })).out, 'adapter');
  const dry = train({ ...base, init, dryRun: true });
  const { asked } = await dry.prepared;
  await dry.finished;
  const { dryRun: _, ...again } = asked;
  const from = await outcomeOf({ ...again, out: join(freshFolder(), 'again') });
  assert.ok(from.adapter.equals((await outcomeOf({ ...base, init })).adapter));
});

dropouts.run();
