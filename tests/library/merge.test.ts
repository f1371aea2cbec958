import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { evaluate, type MergeInput, merge, RunError, train } from 'rivulet';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { readAdapter, writeAdapter } from '#src/formats/adapter.js';
import { openModelWeights, splitIntoShards, writeShards } from '#src/formats/modelShards.js';
import { openSafetensors } from '#src/formats/safetensors.js';
import { castSource } from '#src/formats/tensors/cast.js';
import { fileSource } from '#src/formats/tensors/file.js';
import type { FloatDtype } from '#src/formats/tensors/floats.js';
import type { TensorSource } from '#src/formats/tensors/source.js';
import { adapterConfig, type LoraOptions, loraScale, loraShapes, TARGET_MODULES } from '#src/model/lora.js';
import { openModelFiles } from '#src/model/modelFiles.js';
import { makeFixture, type RawConfig, STUDENT, TEACHER, writeModel } from '../fixtures.js';
import { floatSource, numbers, readAll, readBytes } from '../formats/tensors.js';
import { runErrorOf } from '../hub/scene.js';
import { inputErrorOf } from '../inputErrors.js';

/** A model and its adapters as one model, against plain sums. */

const fixture = makeFixture('merge');
const fresh = () => mkdtempSync(join(fixture.folder, 'case-'));

interface ModelCase {
  readonly dtype: FloatDtype;
  readonly config?: RawConfig;
  /** Of a shard; default: one file. */
  readonly maxShardBytes?: number;
}

/** A model with all the files that one may have, and some that belong to no model. */
async function modelOf({ dtype, config = STUDENT, maxShardBytes = 1e9 }: ModelCase): Promise<string> {
  const folder = writeModel(join(fresh(), 'model'), config, 7);
  const sources = [...openModelWeights(folder).values()].map((info) => castSource(fileSource(info), dtype));
  const mask = floatSource('model.mask', [3], Float32Array.of(0, Number.NEGATIVE_INFINITY, Number.NaN));
  const shards = splitIntoShards([...sources, mask], { maxShardBytes });
  await writeShards(folder, shards, (file) => ({ format: 'pt', of: file }));
  mkdirSync(join(folder, 'additional_chat_templates'));
  for (const name of OTHER_FILES) writeFileSync(join(folder, name), `{ "of": "${name}" }`);
  writeFileSync(join(folder, 'optimizer.pt'), 'of no model');
  return folder;
}

const OTHER_FILES = [
  'special_tokens_map.json',
  'generation_config.json',
  'chat_template.jinja',
  'additional_chat_templates/tool_use.jinja',
];

const LORA: LoraOptions = {
  ...{ rank: 3, alpha: 4, rsLora: false, dropout: 0, targetModules: TARGET_MODULES },
};

/** An adapter of a model, all of whose factors change something. */
async function adapterOf(model: string, lora: LoraOptions, seed: number): Promise<string> {
  const { config } = openModelFiles(model);
  const tensors = [...loraShapes(config, lora)].map(([name, shape], i) =>
    floatSource(
      name,
      shape,
      numbers({ shape }, 100 * seed + i).map((x) => x / 16),
    ),
  );
  const folder = join(fresh(), 'adapter');
  await writeAdapter(folder, adapterConfig(lora, 'base'), tensors);
  return folder;
}

/** Each tensor of a model. */
const sourcesIn = (folder: string): Map<string, TensorSource> =>
  new Map([...openModelWeights(folder)].map(([name, info]) => [name, fileSource(info)]));

/** W + sum of w s B A in plain arithmetic. */
async function plainSum(
  weight: TensorSource,
  parts: readonly { readonly folder: string; readonly lora: LoraOptions; readonly weight: number }[],
): Promise<{ readonly sums: Float64Array; readonly isChanged: boolean }> {
  const sums = Float64Array.from(await readAll(weight));
  const [rows = 0, columns = 0] = weight.shape;
  const module = weight.name.replace(/\.weight$/, '');
  let isChanged = false;
  for (const part of parts) {
    const { tensors } = readAdapter(part.folder);
    const [a, b] = ['A', 'B'].map((which) => tensors.get(`${module}.lora_${which}.weight`)?.data);
    if (!a || !b) continue;
    isChanged = true;
    const scale = part.weight * loraScale(part.lora, module);
    const rank = a.length / columns;
    for (let i = 0; i < rows; i++)
      for (let j = 0; j < columns; j++)
        for (let k = 0; k < rank; k++)
          sums[i * columns + j]! += scale * b[i * rank + k]! * a[k * columns + j]!;
  }
  return { sums, isChanged };
}

/** Half of the distance between numbers of a type, relative to them, and between the smallest ones. */
const ROUNDING: Record<FloatDtype, readonly [relative: number, least: number]> = {
  F32: [2 ** -24, 2 ** -100],
  F16: [2 ** -11, 2 ** -25],
  BF16: [2 ** -8, 2 ** -100],
};

const merging = suite('merge');

const CASES: Record<string, ModelCase> = {
  'F32, a tied head': { dtype: 'F32' },
  'F32 in shards': { dtype: 'F32', maxShardBytes: 20_000 },
  'BF16 in shards, a head of its own': { dtype: 'BF16', config: TEACHER, maxShardBytes: 20_000 },
  F16: { dtype: 'F16', config: { ...STUDENT, model_type: 'qwen2', head_dim: 6 } },
};

for (const [what, form] of Object.entries(CASES)) {
  merging(`${what}: each sum is rounded once, all else is as it was`, async () => {
    const model = await modelOf(form);
    const patterns = { rankPattern: { q_proj: 5 }, alphaPattern: { 'layers.1.mlp.up_proj': 1 } };
    const loras: LoraOptions[] = [
      { ...LORA, ...patterns },
      { ...LORA, rank: 2, rsLora: true, targetModules: ['q_proj', 'v_proj'] },
    ];
    const weights = [1, -0.375];
    const folders = await Promise.all(loras.map((lora, i) => adapterOf(model, lora, i + 1)));
    const out = join(fresh(), 'new', 'merged');
    const result = await merge({ model, adapter: [folders[0]!, `${folders[1]!}:-0.375`], out });
    assert.equal([result.merged, result.folder], [14, out]);

    const [before, after] = [sourcesIn(model), sourcesIn(out)];
    assert.equal([...after.keys()].sort(), [...before.keys()].sort());
    const parts = folders.map((folder, i) => ({ folder, lora: loras[i]!, weight: weights[i]! }));
    const [relative, least] = ROUNDING[form.dtype];
    for (const [name, source] of before) {
      const found = after.get(name)!;
      assert.equal([found.dtype, found.shape], [source.dtype, source.shape]);
      const { sums, isChanged } = await plainSum(source, parts);
      assert.is((await readBytes(found)).equals(await readBytes(source)), !isChanged, name);
      if (!isChanged) continue;
      const values = await readAll(found);
      const wrong = values.findIndex(
        (value, i) => !(Math.abs(value - sums[i]!) <= 1.001 * relative * Math.abs(sums[i]!) + least),
      );
      assert.is(wrong, -1, `${name}: ${values[wrong]} for ${sums[wrong]}`);
    }

    const files = ['config.json', 'tokenizer.json', 'tokenizer_config.json', ...OTHER_FILES];
    for (const file of files)
      assert.ok(readFileSync(join(out, file)).equals(readFileSync(join(model, file))), file);
    const expected = readdirSync(model).filter((name) => name !== 'optimizer.pt');
    assert.equal(readdirSync(out).sort(), expected.sort());
    for (const file of expected.filter((name) => name.endsWith('.safetensors'))) {
      assert.equal({ ...openSafetensors(join(out, file)).metadata }, { format: 'pt', of: file });
    }
    const index = 'model.safetensors.index.json';
    if (expected.includes(index)) {
      assert.ok(expected.length > 10);
      assert.equal(readFileSync(join(out, index), 'utf8'), readFileSync(join(model, index), 'utf8'));
    }
  });
}

merging('what the index of shards leaves out is kept, too', async () => {
  const model = await modelOf(CASES['F32 in shards']!);
  const path = join(model, 'model.safetensors.index.json');
  const index = JSON.parse(readFileSync(path, 'utf8'));
  const shard = index.weight_map['model.mask'];
  delete index.weight_map['model.mask'];
  writeFileSync(path, JSON.stringify(index));
  const out = join(fresh(), 'merged');
  await merge({ model, adapter: [await adapterOf(model, LORA, 4)], out });
  const [before, after] = [model, out].map((folder) => openSafetensors(join(folder, shard)).tensors);
  assert.equal([...after!.keys()].sort(), [...before!.keys()].sort());
  const bytes = [before!, after!].map((tensors) => readBytes(fileSource(tensors.get('model.mask')!)));
  assert.ok((await bytes[0]!).equals(await bytes[1]!));
});

merging('the merged model scores as the model with its adapter; an empty --out is taken', async () => {
  const model = fixture.student;
  const adapter = await adapterOf(model, LORA, 3);
  const out = fresh();
  await merge({ model, adapter: [adapter], out });
  await assertSameScore(model, adapter, out);
});

merging('a run stands for its adapter, also one that began with singular vectors', async () => {
  const run = join(fresh(), 'run');
  const options = { batch: 2, sequence: 16, shuffleRows: 16, steps: 2, lr: 0.03, warmup: 0, threads: 1 };
  await train({
    ...{ ...options, student: fixture.student, data: [fixture.text], init: 'pissa', rank: 2, out: run },
    ...{ evalFraction: 0, device: 'wasm' },
  }).finished;
  const out = join(run, 'merged');
  await merge({ model: fixture.student, adapter: [run], out });
  await assertSameScore(fixture.student, run, out);
});

async function assertSameScore(model: string, adapter: string, merged: string): Promise<void> {
  const options = { perplexity: fixture.text, device: 'wasm', threads: 1, sequence: 64 } as const;
  const { nll: bare } = await evaluate({ ...options, model });
  const { nll: adapted } = await evaluate({ ...options, model, adapter });
  const { nll } = await evaluate({ ...options, model: merged });
  assert.ok(Math.abs(adapted - bare) > 1e-3, `${adapted} with the adapter, ${bare} without`);
  assert.ok(Math.abs(nll - adapted) < 1e-5, `${nll} for ${adapted}`);
}

merging('weights: a name with a colon that is there is meant as it is; 0 takes an adapter away', async () => {
  const model = fixture.student;
  const adapter = await adapterOf(model, LORA, 4);
  const colon = join(fresh(), 'adapter:2');
  cpSync(adapter, colon, { recursive: true });
  const q = 'model.layers.0.self_attn.q_proj.weight';
  const bytesOf = async (...adapters: string[]) => {
    const out = join(fresh(), 'merged');
    await merge({ model, adapter: adapters, out });
    return readBytes(sourcesIn(out).get(q)!);
  };
  const plain = await bytesOf(adapter);
  assert.ok(plain.equals(await bytesOf(colon)));
  assert.ok(plain.equals(await bytesOf(`${colon}:1`)));
  assert.ok(plain.equals(await bytesOf(`${adapter}:0.5`, `${colon}:.5e0`)));
  assert.not.ok(plain.equals(await bytesOf(`${adapter}:2`)));
  assert.ok((await readBytes(sourcesIn(model).get(q)!)).equals(await bytesOf(`${adapter}:0`)));
});

merging('a model whose files are links, as in the Hub cache, is copied as files', async () => {
  const [model, out] = [fresh(), join(fresh(), 'merged')];
  for (const name of readdirSync(fixture.student))
    symlinkSync(join(fixture.student, name), join(model, name));
  await merge({ model, adapter: [await adapterOf(model, LORA, 5)], out });
  const kinds = readdirSync(out, { withFileTypes: true }).map((entry) => entry.isFile());
  assert.equal(kinds, [true, true, true, true]);
});

merging('a caller is told how far it is, and may stop it: nothing is left', async () => {
  const parent = fresh();
  const adapter = [await adapterOf(fixture.student, LORA, 6)];
  const stop = new AbortController();
  let told = 0;
  const onProgress = ({ bytes, totalBytes }: { bytes: number; totalBytes: number }) => {
    assert.ok(bytes < totalBytes);
    told++;
    if (told === 3) stop.abort();
  };
  const out = join(parent, 'a', 'b');
  const hooks = { onProgress, signal: stop.signal };
  const error = await merge({ model: fixture.student, adapter, out }, hooks).catch((reason) => reason);
  assert.instance(error, RunError);
  assert.match(error.message, 'expected to merge all weights, found a signal to stop');
  assert.is(told, 3);
  assert.equal(readdirSync(parent), []);
});

merging('a folder that was there and empty is the same one after a stop', async () => {
  const out = fresh();
  const adapter = [await adapterOf(fixture.student, LORA, 6)];
  const { ino } = statSync(out);
  const stop = new AbortController();
  const hooks = { onProgress: () => stop.abort(), signal: stop.signal };
  assert.match(
    await runErrorOf(merge({ model: fixture.student, adapter, out }, hooks)),
    'expected to merge all weights, found a signal to stop',
  );
  assert.is(statSync(out).ino, ino);
  assert.equal(readdirSync(out), []);
});

merging('of two into one folder at once one is refused, and the other is whole', async () => {
  const parent = fresh();
  const adapter = await adapterOf(fixture.student, LORA, 6);
  const out = join(parent, 'merged');
  const both = [adapter, `${adapter}:2`].map((one) => merge({ model: fixture.student, adapter: [one], out }));
  const outcomes = await Promise.allSettled(both);
  const failed = outcomes.findIndex(({ status }) => status === 'rejected');
  assert.match(await runErrorOf(both[failed]!), 'merged: expected a folder that is not there yet, found one');
  await both[1 - failed];
  assert.equal(readdirSync(parent), ['merged']);
  const again = join(fresh(), 'again');
  await merge({ model: fixture.student, adapter: [failed === 1 ? adapter : `${adapter}:2`], out: again });
  const file = 'model.safetensors';
  assert.ok(readFileSync(join(out, file)).equals(readFileSync(join(again, file))));
});

merging.run();

const refusals = suite('merge: what is refused');

const good = await adapterOf(fixture.student, LORA, 8);
const halves = await modelOf({ dtype: 'F16' });
const taken = fresh();
writeFileSync(join(taken, 'notes.txt'), 'x');
const link = join(fresh(), 'link');
symlinkSync(fixture.student, link);
const emptyLink = join(fresh(), 'link');
symlinkSync(fresh(), emptyLink);
const broken = join(fresh(), 'broken');
cpSync(good, broken, { recursive: true });
const brokenBytes = readFileSync(join(broken, 'adapter_model.safetensors'));
brokenBytes.writeFloatLE(Number.NaN, brokenBytes.length - 4);
writeFileSync(join(broken, 'adapter_model.safetensors'), brokenBytes);

const WRONG: Record<string, [change: Partial<MergeInput>, message: RegExp]> = {
  'no adapter': [{ adapter: [] }, /--adapter: expected at least one adapter, found \[\]/],
  'an adapter of another model': [
    { model: fixture.teacher },
    /expected this model's adapter, found tensors of the wrong shape \(\d+\): /,
  ],
  'no number as a weight': [
    { adapter: [`${good}:half`] },
    /--adapter .*:half: expected a finite number as its weight, found half; /,
  ],
  'NaN as a weight': [{ adapter: [`${good}:NaN`] }, /expected a finite number as its weight, found NaN/],
  'too large a weight': [{ adapter: [`${good}:1e999`] }, /a finite number as its weight, found 1e999/],
  'a number of another kind as a weight': [
    { adapter: [`${good}:0x10`] },
    /expected a finite number as its weight, found 0x10/,
  ],
  'a colon alone': [{ adapter: [`${good}:`] }, /a finite number as its weight, found nothing/],
  'a weight alone': [
    { adapter: [':0.5'] },
    /--adapter :0\.5: expected an adapter before its weight, found nothing/,
  ],
  'no such adapter': [{ adapter: ['nowhere:0.5'] }, /nowhere: expected a model's folder, .*found neither/],
  'a path of Windows': [
    { adapter: ['C:\\nowhere'] },
    /C:\\nowhere: expected a model's folder, .*found neither/,
  ],
  'a model as an adapter': [{ adapter: [fixture.student] }, /adapter_config\.json: .*ENOENT/],
  'a NaN in an adapter': [
    { adapter: [good, broken] },
    /adapter_model\.safetensors: tensor model\..*: expected finite numbers, found NaN at /,
  ],
  'sums beyond the type': [
    { model: halves, adapter: [`${good}:1e9`] },
    /model\.safetensors: tensor model\..*: expected sums that F16 holds, found one that becomes -?Infinity at \[/,
  ],
  'a folder with something in it': [
    { out: taken },
    /--out: expected a new folder or an empty one, found .*case-/,
  ],
  "the model's folder": [{ out: fixture.student }, /--out: expected a new folder or an empty one/],
  "in the model's folder": [{ out: join(fixture.student, 'a', 'b') }, /--out: expected a folder outside of /],
  "in the model's folder by way of a link": [{ out: join(link, 'a') }, /expected a folder outside of /],
  'a link to an empty folder': [
    { out: emptyLink },
    /--out: expected a folder that can be replaced, found .* \(a link\)/,
  ],
  'a name that no folder can have': [
    { out: join(taken, 'n'.repeat(256)) },
    /--out: expected a folder to write to, found .*n \(ENAMETOOLONG\); choose another/,
  ],
  'a file as the parent': [{ out: join(taken, 'notes.txt', 'x') }, /--out: expected a folder, found a file/],
};

for (const [what, [change, message]] of Object.entries(WRONG)) {
  refusals(`${what}: one line, and nothing is written`, async () => {
    const parent = fresh();
    const before = readdirSync(fixture.student);
    const input = { model: fixture.student, adapter: [good], out: join(parent, 'a', 'merged'), ...change };
    assert.match(await inputErrorOf(() => merge(input)), message);
    assert.equal(readdirSync(parent), []);
    assert.equal(readdirSync(fixture.student), before);
    assert.equal(readdirSync(taken), ['notes.txt']);
  });
}

refusals.run();
