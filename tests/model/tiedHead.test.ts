import { cpSync, existsSync, mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadModel, train } from 'rivulet';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { float32ToBfloat16 } from '#src/formats/float16.js';
import { splitIntoShards, writeShards } from '#src/formats/modelShards.js';
import { openSafetensors, readFloat32, type TensorData, writeSafetensors } from '#src/formats/safetensors.js';
import { openModelFiles } from '#src/model/modelFiles.js';
import { makeFixture, STUDENT } from '../fixtures.js';
import { sourcesIn } from '../formats/tensors.js';
import { inputErrorOf } from '../inputErrors.js';
import { flags, runProgram } from '../run/process.js';

/** A config that ties the head to the embedding, and files that may say otherwise: as transformers 5 has it. */

const fixture = makeFixture('tied');
const HEAD = 'lm_head.weight';
const EMBEDDING = 'model.embed_tokens.weight';
const TOKENS = Uint32Array.of(1, 5, 100, 2, 7, 367);

const trained = new Map<string, TensorData>(
  [...openSafetensors(join(fixture.student, 'model.safetensors')).tensors].map(([name, info]) => [
    name,
    { dtype: 'F32', shape: info.shape, data: readFloat32(info) },
  ]),
);
const embedding = trained.get(EMBEDDING)!;
const numbersOf = ({ data }: TensorData) => (data as Float32Array).slice();

interface Setting {
  readonly tied: boolean;
  readonly head?: TensorData;
  readonly embedding?: TensorData | undefined;
  readonly shardBytes?: number;
}

/** The student with another config or head. @returns its folder */
async function makeModel({ tied, head, shardBytes, ...changed }: Setting): Promise<string> {
  const folder = mkdtempSync(join(fixture.folder, 'model-'));
  cpSync(fixture.student, folder, { recursive: true });
  writeFileSync(join(folder, 'config.json'), JSON.stringify({ ...STUDENT, tie_word_embeddings: tied }));
  const tensors = new Map(trained);
  if (head) tensors.set(HEAD, head);
  if ('embedding' in changed) {
    if (changed.embedding) tensors.set(EMBEDDING, changed.embedding);
    else tensors.delete(EMBEDDING);
  }
  const sharded = mkdtempSync(join(fixture.folder, 'shards-'));
  writeSafetensors(join(folder, 'model.safetensors'), tensors);
  if (shardBytes === undefined) return folder;
  for (const file of ['config.json', 'tokenizer.json', 'tokenizer_config.json'])
    cpSync(join(folder, file), join(sharded, file));
  await writeShards(sharded, splitIntoShards(sourcesIn(tensors), { maxShardBytes: shardBytes }));
  return sharded;
}

/** What a model says of `TOKENS`, and what it told the user. */
async function scored(folder: string): Promise<{ logits: Float32Array; warnings: string[] }> {
  const warnings: string[] = [];
  const listen = ({ message }: Error) => warnings.push(message);
  process.on('warning', listen);
  const model = await loadModel(folder, { sequence: 16, device: 'wasm', threads: 1 });
  const logits = await model.logits(TOKENS);
  await model.close();
  process.off('warning', listen);
  return { logits, warnings };
}

/** The embedding with another last element, or all others. */
function otherHead(change: (data: Float32Array) => void): TensorData {
  const data = numbersOf(embedding);
  change(data);
  return { ...embedding, data };
}

const line = (folder: string) =>
  `${folder}: config.json ties lm_head.weight to model.embed_tokens.weight, but the files have both with different ` +
  'values: both are used, as they are; set tie_word_embeddings to false in config.json to say so';

const plain = await scored(fixture.student);

for (const [label, head, shardBytes] of [
  ['of other values', otherHead((data) => data.reverse()), undefined],
  ['whose last number differs', otherHead((data) => (data[data.length - 1]! += 1)), undefined],
  ['in another shard', otherHead((data) => data.fill(0.5, 0, 24)), 20_000],
] as const) {
  test(`a head ${label} is used, which is said in one line, once`, async () => {
    const folder = await makeModel({ tied: true, head, ...(shardBytes ? { shardBytes } : {}) });
    assert.is(existsSync(join(folder, 'model.safetensors.index.json')), shardBytes !== undefined);
    const { logits, warnings } = await scored(folder);
    const untied = await scored(await makeModel({ tied: false, head }));
    assert.equal(logits, untied.logits);
    assert.not.equal(logits, plain.logits);
    assert.equal(warnings, [line(folder)]);
    assert.equal([untied.warnings, (await scored(folder)).warnings], [[], []]);
    assert.is(openModelFiles(folder).config.tiedEmbeddings, false);
  });
}

const exact = numbersOf(embedding).map(
  (value) =>
    new Float32Array(
      new Uint32Array(Float32Array.of(value).buffer).map((bits) => bits & 0xffff0000).buffer,
    )[0]!,
);
exact[5] = 0;
const halves = new Uint16Array(exact.length);
float32ToBfloat16(exact, halves);
const negative = exact.slice();
negative[5] = -0;

for (const [label, head, ours] of [
  ['an equal copy', { ...embedding }, embedding],
  [
    'an equal copy in another type',
    { ...embedding, dtype: 'BF16', data: halves } as TensorData,
    { ...embedding, data: exact },
  ],
  ['an equal copy with -0 for 0', { ...embedding, data: negative }, { ...embedding, data: exact }],
] as const) {
  test(`${label} stays tied, without a word`, async () => {
    const folder = await makeModel({ tied: true, head, embedding: ours });
    const { logits, warnings } = await scored(folder);
    assert.equal(logits, (await scored(await makeModel({ tied: true, embedding: ours }))).logits);
    assert.equal(warnings, []);
    assert.is(openModelFiles(folder).config.tiedEmbeddings, true);
  });
}

test('a head alone is the embedding, too', async () => {
  const { logits, warnings } = await scored(
    await makeModel({ tied: true, head: embedding, embedding: undefined }),
  );
  assert.equal(logits, plain.logits);
  assert.equal(warnings, []);
});

test('a head of another shape or type, or none where none is tied, is refused by name', async () => {
  const rows = { ...embedding, shape: [24, 368] };
  assert.match(
    await inputErrorOf(async () => openModelFiles(await makeModel({ tied: true, head: rows }))),
    'lm_head.weight is [24, 368], expected [368, 24]',
  );
  const bytes: TensorData = { dtype: 'I8', shape: [368, 24], data: new Int8Array(368 * 24) };
  assert.match(
    await inputErrorOf(async () => openModelFiles(await makeModel({ tied: true, head: bytes }))),
    'lm_head.weight is I8, expected F32, F16 or BF16',
  );
  assert.match(
    await inputErrorOf(async () => openModelFiles(await makeModel({ tied: false }))),
    'lm_head.weight is missing',
  );
});

test('programs say it in one line of stderr; a student keeps its head, and a run that trains all of it saves both', async () => {
  const student = await makeModel({ tied: true, head: otherHead((data) => data.reverse()) });
  const evaluated = await runProgram(
    'evaluate',
    ['--model', student, '--perplexity', fixture.text, '--sequence', '16'],
    { cwd: fixture.folder },
  );
  assert.is(evaluated.code, 0);
  assert.is(evaluated.stderr, `warning: ${line(student)}\n`);
  const options = {
    ...{ student, teacher: student, data: [fixture.jsonl], batch: 2, sequence: 16, steps: 1, lr: 1e-9 },
    ...{ warmup: 0, evalFraction: 0, threads: 1, out: 'run', device: 'wasm' },
  };
  const { code, stderr } = await runProgram('train', flags(options), { cwd: fixture.folder });
  assert.is(code, 0, stderr);
  assert.equal(
    stderr.split('\n').filter((text) => text.includes('warning')),
    [`warning: ${line(student)}`],
  );
  const out = join(fixture.folder, 'all');
  const run = train({ ...options, teacher: 'none', trainable: 'all', out });
  const { model } = await run.finished;
  const { logits, warnings } = await scored(model!);
  const before = await scored(student);
  assert.equal(warnings, [], 'its config says what it is');
  assert.ok(logits.every((value, i) => Math.abs(value - before.logits[i]!) < 1e-4));
});

test.run();
