import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadModel, merge, type StepRecord, type TrainInput, train } from 'rivulet';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { randomUint32 } from '#src/data/random.js';
import { openModelWeights, splitIntoShards, writeShards } from '#src/formats/modelShards.js';
import { castSource } from '#src/formats/tensors/cast.js';
import { fileSource } from '#src/formats/tensors/file.js';
import { makeFixture, type RawConfig, STUDENT, writeModel } from '../fixtures.js';
import { readAll } from '../formats/tensors.js';
import { sharedPath } from '../support.js';
import { largestDifference } from '../training/training.js';
import { prepareEnvironment, python } from './environment.js';

/** Adapters and models to and from PEFT + transformers, in a Python environment outside of the project. */

const TOLERANCE = 1e-4;
const SEQUENCE = 32;
const isReady = prepareEnvironment();

const fixture = makeFixture('interop');
const model = sharedPath('data/models/stories260k') ?? fixture.student;
const freshFolder = () => mkdtempSync(join(fixture.folder, 'interop-'));

/** Rows of different lengths, the shortest possible one among them. */
const rows = [1, 7, SEQUENCE].map((length, row) =>
  Uint32Array.from({ length }, (_, i) => (i === 0 ? 1 : 3 + (randomUint32(1, row, i) % 250))),
);

/** Logits of all rows, one after the other. */
async function ourLogits(adapter?: string, folder = model): Promise<Float32Array> {
  const loaded = await loadModel(folder, { sequence: SEQUENCE, adapter, device: 'wasm' });
  const parts = [];
  for (const row of rows) parts.push(...(await loaded.logits(row)));
  await loaded.close();
  return Float32Array.from(parts);
}

async function peftLogits(adapter: string, base = model): Promise<Float32Array> {
  const folder = freshFolder();
  const [ids, out] = [join(folder, 'ids.json'), join(folder, 'logits.f32')];
  writeFileSync(ids, JSON.stringify(rows.map((row) => Array.from(row))));
  const { shape } = JSON.parse(await python('peft_logits.py', base, adapter, ids, out));
  const logits = new Float32Array(Uint8Array.from(readFileSync(out)).buffer);
  assert.is(logits.length, shape[0] * shape[1]);
  return logits;
}

async function assertSameLogits(adapter: string): Promise<void> {
  const [ours, peft, base] = [await ourLogits(adapter), await peftLogits(adapter), await ourLogits()];
  const effect = largestDifference(ours, base);
  assert.ok(effect > 1e-2, `the adapter changes no logit by more than ${effect}`);
  const difference = largestDifference(ours, peft);
  assert.ok(difference <= TOLERANCE, `logits differ by ${difference}`);
}

const runOptions = () => ({
  ...{ data: [fixture.text], batch: 8, sequence: SEQUENCE, steps: 12, lr: 1e-2, warmup: 0 },
  ...{ evalFraction: 0, device: 'wasm' as const, out: join(freshFolder(), 'run') },
});

/** @returns the adapter's folder and the losses of all steps */
async function trainAdapter(options: Partial<TrainInput>) {
  const run = train({ ...runOptions(), student: model, ...options });
  const steps: StepRecord[] = [];
  run.metrics$.subscribe({ next: (record) => record.type === 'step' && steps.push(record), error: () => {} });
  const { adapter } = await run.finished;
  return { adapter: adapter!, losses: steps.map(({ loss }) => loss) };
}

const test = suite('PEFT and transformers');
const withPeft = isReady ? test : test.skip;

for (const [what, options] of Object.entries<Partial<TrainInput>>({
  'all layers': {},
  'rsLoRA on some layers, with dropout': {
    ...{ rslora: true, rank: 4, targetModules: 'q_proj,v_proj,down_proj', loraDropout: 0.1 },
  },
})) {
  withPeft(`load an adapter of ours: ${what}`, async () => {
    await assertSameLogits((await trainAdapter(options)).adapter);
  });
}

for (const [what, options] of Object.entries<Partial<TrainInput>>({
  'PiSSA, and ranks that differ': {
    init: 'pissa',
    rank: 4,
    rankPattern: { v_proj: 2, 'layers.0.mlp.up_proj': 9 },
  },
  'MiLoRA, rsLoRA and alphas that differ': { init: 'milora', rslora: true, alphaPattern: { q_proj: 2 } },
})) {
  withPeft(`load an adapter that began with singular vectors: ${what}`, async () => {
    await assertSameLogits((await trainAdapter(options)).adapter);
  });
}

for (const flags of [[], ['--rslora']]) {
  withPeft(`make an adapter that trains on here ${flags}`, async () => {
    const made = join(freshFolder(), 'peft');
    await python('peft_make_adapter.py', model, made, '--rank', '8', '--seed', '3', ...flags);
    await assertSameLogits(made);
    const { adapter, losses } = await trainAdapter({ init: made });
    const mean = (part: readonly number[]) => part.reduce((sum, loss) => sum + loss, 0) / part.length;
    const [first, last] = [mean(losses.slice(0, 3)), mean(losses.slice(-3))];
    assert.ok(last < first - 0.1, `the loss went from ${first} to ${last}`);
    const kept = (folder: string) => {
      const { r, lora_alpha, use_rslora } = JSON.parse(
        readFileSync(join(folder, 'adapter_config.json'), 'utf8'),
      );
      return { r, lora_alpha, use_rslora };
    };
    assert.equal(kept(adapter), kept(made));
    await assertSameLogits(adapter);
  });
}

withPeft('some layers, of a rank above their sides, train on here and go back', async () => {
  const made = join(freshFolder(), 'peft');
  const target = '.*layers\\.[01]\\.(self_attn\\.k|mlp\\.up)_proj|.*layers\\.1\\..*q_proj';
  await python('peft_make_adapter.py', model, made, '--rank', '72', '--target', target);
  await assertSameLogits(made);
  const { adapter } = await trainAdapter({ init: made, lr: 1e-3 });
  await assertSameLogits(adapter);
});

const TORCH_DTYPES = { F32: 'float32', F16: 'float16', BF16: 'bfloat16' };

const FAMILIES: Record<string, RawConfig> = {
  llama: { tie_word_embeddings: false },
  qwen2: { architectures: ['Qwen2ForCausalLM'], head_dim: undefined },
  qwen3: { architectures: ['Qwen3ForCausalLM'], head_dim: 10 },
  mistral: { architectures: ['MistralForCausalLM'], sliding_window: 64, tie_word_embeddings: false },
};

for (const [family, fields] of Object.entries(FAMILIES)) {
  withPeft(`load a ${family} model whose weights were all trained here`, async () => {
    const student = join(freshFolder(), family);
    writeModel(student, { ...STUDENT, model_type: family, ...fields }, 5);
    const { model: trained } = await train({ ...runOptions(), student, trainable: 'all' }).finished;
    const ours = await ourLogits(undefined, trained!);
    const effect = largestDifference(ours, await ourLogits(undefined, student));
    assert.ok(effect > 1e-2, `training changed no logit by more than ${effect}`);
    const difference = largestDifference(ours, await peftLogits('none', trained!));
    assert.ok(difference <= TOLERANCE, `logits differ by ${difference}`);
  });
}

/** By type: half the distance between numbers, relative to them, and what PEFT's own sums in F32 are off by. */
const ROUNDINGS = { F32: 2 ** -24, F16: 2 ** -11, BF16: 2 ** -8 };
const SUM_ERROR = 2 ** -22;

for (const dtype of ['F32', 'F16', 'BF16'] as const) {
  withPeft(`merge an adapter into ${dtype} weights as merge does, but for a rounding`, async () => {
    const folder = freshFolder();
    const base = writeModel(join(folder, 'base'), { ...STUDENT, torch_dtype: TORCH_DTYPES[dtype] }, 5);
    const sources = [...openModelWeights(base).values()].map((info) => castSource(fileSource(info), dtype));
    await writeShards(base, splitIntoShards(sources, { maxShardBytes: 20_000 }));
    const [adapter, peft, out] = [join(folder, 'adapter'), join(folder, 'peft'), join(folder, 'merged')];
    await python('peft_make_adapter.py', base, adapter, '--rank', '8', '--rslora');
    assert.is(await python('peft_merge.py', base, peft, adapter), `torch.${TORCH_DTYPES[dtype]}`);
    const { merged } = await merge({ model: base, adapter: [adapter], out });
    assert.is(merged, 14);
    const [ours, theirs, before] = [out, peft, base].map(openModelWeights);
    assert.equal([...ours!.keys()].sort(), [...theirs!.keys()].sort());
    let changed = 0;
    for (const [name, info] of theirs!) {
      const [found, expected, original] = await Promise.all(
        [ours!.get(name)!, info, before!.get(name)!].map((each) => readAll(fileSource(each))),
      );
      const most = expected!.reduce((max, x) => Math.max(max, Math.abs(x)), 0);
      const wrong = found!.findIndex((x, i) => {
        const rounding = 2 * ROUNDINGS[dtype] * Math.abs(expected![i]!);
        return !(Math.abs(x - expected![i]!) <= rounding + SUM_ERROR * most);
      });
      assert.is(wrong, -1, `${name}: ${found![wrong]} for ${expected![wrong]}`);
      if (largestDifference(found!, original!) > 1e-2) changed++;
    }
    assert.is(changed, merged);
    const difference = largestDifference(await ourLogits(undefined, out), await peftLogits('none', out));
    assert.ok(difference <= TOLERANCE, `logits differ by ${difference}`);
  });
}

withPeft('load a model made from its config alone', async () => {
  const fromConfig = join(fixture.student, 'config.json');
  const { model: made } = await train({ ...runOptions(), fromConfig, trainable: 'all' }).finished;
  const difference = largestDifference(await ourLogits(undefined, made!), await peftLogits('none', made!));
  assert.ok(difference <= TOLERANCE, `logits differ by ${difference}`);
});

withPeft('agree with the goldens', async () => {
  assert.match(await python('peft_check_goldens.py'), /^bf16-sharded: logits /);
});

test.run();
