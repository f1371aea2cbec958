import { cpSync, existsSync, mkdtempSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Run, type TrainInput, train } from 'rivulet';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { RunError } from '#src/base/errors.js';
import { listCheckpoints } from '#src/formats/checkpointFiles.js';
import { float32ToBfloat16, float32ToFloat16 } from '#src/formats/float16.js';
import {
  openSafetensors,
  readFloat32,
  type TensorData,
  tensorChunks,
  writeSafetensors,
} from '#src/formats/safetensors.js';
import { makeFixture } from '../fixtures.js';
import { inputErrorOf } from '../inputErrors.js';

/** The types in which whole models are saved; what a resumed run goes on with is always f32. */

const fixture = makeFixture('saveDtype');
/** bf16, with a head of its own. */
const student = fixture.teacher;

const start = (options: Partial<TrainInput>): Run =>
  train({
    ...{ student, data: [fixture.jsonl], batch: 2, microBatch: 2, sequence: 16, shuffleRows: 16, steps: 4 },
    ...{ evalFraction: 0, checkpointEvery: 2, threads: 1, device: 'wasm', trainable: 'all' },
    ...{ out: join(mkdtempSync(join(fixture.folder, 'run-')), 'run') },
    ...options,
  } as TrainInput);
const finish = async (options: Partial<TrainInput>) =>
  (await start(options).finished) as { out: string; model: string };

const weightsIn = (folder: string) => openSafetensors(join(folder, 'model.safetensors')).tensors;
const configIn = (folder: string) => JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8'));
const lastModel = (out: string) => join(listCheckpoints(join(out, 'checkpoints')).at(-1)!.path, 'model');

/** Checks that a model is that of the last checkpoint, rounded to `dtype`. */
function expectRounded(out: string, model: string, dtype: 'F16' | 'BF16'): void {
  const round = dtype === 'F16' ? float32ToFloat16 : float32ToBfloat16;
  const saved = weightsIn(model);
  const exact = weightsIn(lastModel(out));
  assert.equal([...saved.keys()], [...exact.keys()]);
  for (const [name, info] of exact) {
    assert.is(info.dtype, 'F32', name);
    assert.is(saved.get(name)!.dtype, dtype, name);
    const full = readFloat32(info);
    const expected = new Uint16Array(full.length);
    round(full, expected);
    const found = Buffer.concat([...tensorChunks(saved.get(name)!)].map(({ bytes }) => Buffer.from(bytes)));
    assert.ok(found.equals(Buffer.from(expected.buffer)), name);
  }
}

test("a model is saved in its base's type, checkpoints in f32; a resume ends with the same bytes", async () => {
  const { out, model } = await finish({});
  expectRounded(out, model, 'BF16');
  assert.is(configIn(model).torch_dtype, 'bfloat16');
  assert.is(configIn(lastModel(out)).torch_dtype, 'float32');
  assert.ok(
    [...weightsIn(lastModel(out)).values()].some((info) => readFloat32(info).some((x) => x !== bfloat16(x))),
  );
  const interrupted = start({});
  interrupted.metrics$.subscribe({ next: ({ type }) => type === 'step' && interrupted.stop(), error() {} });
  const stopped = await interrupted.finished;
  assert.is(stopped.steps, 1);
  const resumed = await finish({ out: stopped.out, resume: true });
  for (const file of ['model.safetensors', 'config.json']) {
    assert.ok(readFileSync(join(resumed.model, file)).equals(readFileSync(join(model, file))), file);
    assert.ok(
      readFileSync(join(lastModel(resumed.out), file)).equals(readFileSync(join(lastModel(out), file))),
      file,
    );
  }
});

function bfloat16(x: number): number {
  const half = new Uint16Array(1);
  float32ToBfloat16(Float32Array.of(x), half);
  return new Float32Array(Uint32Array.of(half[0]! << 16).buffer)[0]!;
}

test('--save-dtype says otherwise, also once the run is over', async () => {
  const { out, model } = await finish({ saveDtype: 'f16' });
  expectRounded(out, model, 'F16');
  assert.is(configIn(model).torch_dtype, 'float16');
  const again = await finish({ out, resume: true, saveDtype: 'f32' });
  assert.ok(
    readFileSync(join(again.model, 'model.safetensors')).equals(
      readFileSync(join(lastModel(out), 'model.safetensors')),
    ),
  );
  assert.is(configIn(model).torch_dtype, 'float32');
});

test('tensors of several types keep their own', async () => {
  const folder = mkdtempSync(join(fixture.folder, 'mixed-'));
  cpSync(student, folder, { recursive: true });
  const tensors = [...weightsIn(folder)].map(([name, info]): [string, TensorData] => {
    const data = readFloat32(info);
    if (info.shape.length === 1) return [name, { dtype: 'F32', shape: info.shape, data }];
    const halves = new Uint16Array(data.length);
    float32ToBfloat16(data, halves);
    return [name, { dtype: 'BF16', shape: info.shape, data: halves }];
  });
  writeSafetensors(join(folder, 'model.safetensors'), new Map(tensors));
  const { model } = await finish({ student: folder, steps: 1 });
  const types = (path: string) => [...weightsIn(path)].map(([name, { dtype }]) => `${name} ${dtype}`);
  assert.equal(types(model), types(folder));
});

test('a model made from a config is saved in f32, and its config says so', async () => {
  const fromConfig = join(student, 'config.json');
  const { model } = await finish({ student: undefined, fromConfig, steps: 1 });
  assert.ok([...weightsIn(model).values()].every(({ dtype }) => dtype === 'F32'));
  assert.is(configIn(model).torch_dtype, 'float32');
});

test('a weight that the type can not hold is no model; the checkpoint stays and another type is saved', async () => {
  const folder = mkdtempSync(join(fixture.folder, 'large-'));
  cpSync(fixture.student, folder, { recursive: true });
  const tensors = [...weightsIn(folder)].map(([name, { shape, ...info }]) => {
    const data = readFloat32({ ...info, shape });
    if (name === 'model.layers.0.mlp.up_proj.weight') data[24 + 2] = 70_000;
    return [name, { dtype: 'F32', shape, data }] as const;
  });
  writeSafetensors(join(folder, 'model.safetensors'), new Map(tensors));
  const run = start({ student: folder, saveDtype: 'f16', steps: 1, lr: 1e-9, warmup: 0 });
  const error = await run.finished.then(
    () => undefined,
    (reason: Error) => reason,
  );
  assert.instance(error, RunError);
  assert.match(
    error!.message,
    /^student, the model: tensor model\.layers\.0\.mlp\.up_proj\.weight: expected numbers that float16 holds, found one that becomes Infinity at \[1, 2\]; choose another --save-dtype and --resume/,
  );
  const { options } = await run.prepared;
  assert.is(existsSync(join(options.out!, 'model')), false);
  const { model } = await finish({
    out: options.out!,
    student: folder,
    resume: true,
    saveDtype: 'bf16',
    steps: 1,
    lr: 1e-9,
    warmup: 0,
  });
  assert.is(readFloat32(weightsIn(model).get('model.layers.0.mlp.up_proj.weight')!)[24 + 2], 70_144);
});

test('an adapter has no such option', async () => {
  const message = await inputErrorOf(() => finish({ trainable: 'lora', saveDtype: 'bf16' }));
  assert.is(message, '--save-dtype: expected --trainable all with it, found --trainable lora; leave one out');
});

test.run();
