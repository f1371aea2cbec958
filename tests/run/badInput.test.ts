import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { type TrainInput, train } from 'rivulet';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openSafetensors, type TensorData, writeSafetensors } from '#src/formats/safetensors.js';
import { readModelConfig } from '#src/model/config.js';
import { weightShapes } from '#src/model/weights.js';
import { makeFixture, STUDENT } from '../fixtures.js';
import { inputErrorOf } from '../inputErrors.js';

/** Wrong models and folders, as a run meets them: one line, and nothing is written. */

const fixture = makeFixture('bad-input');
const freshFolder = () => mkdtempSync(join(fixture.folder, 'case-'));
const base: TrainInput = {
  ...{ student: fixture.student, data: [fixture.text], batch: 4, sequence: 16, steps: 1 },
  ...{ evalFraction: 0, shuffleRows: 16, threads: 1 },
};

/** A copy of a model in which something is changed. @returns its folder */
function copyOf(model: string, change: (folder: string) => void): string {
  const folder = join(freshFolder(), 'model');
  cpSync(model, folder, { recursive: true });
  change(folder);
  return folder;
}

function editJson(path: string, edit: (json: Record<string, unknown>) => void): void {
  const json = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
  edit(json);
  writeFileSync(path, JSON.stringify(json));
}

const withConfig = (change: object, model = fixture.student): string =>
  copyOf(model, (folder) => editJson(join(folder, 'config.json'), (json) => Object.assign(json, change)));

/** The student with other bytes in its weights. */
const withWeights = (edit: (bytes: Buffer) => Buffer): string =>
  copyOf(fixture.student, (folder) => {
    const path = join(folder, 'model.safetensors');
    writeFileSync(path, edit(readFileSync(path)));
  });

/** The student with another header before the same data. */
const withHeader = (edit: (header: string) => string): string =>
  withWeights((bytes) => {
    const end = 8 + Number(bytes.readBigUInt64LE());
    const header = Buffer.from(edit(bytes.toString('utf8', 8, end)));
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(header.length));
    return Buffer.concat([length, header, bytes.subarray(end)]);
  });

const FIRST = 'model.embed_tokens.weight';
const SECOND = 'model.layers.0.input_layernorm.weight';

/** The second tensor moved onto the start of the first one. */
const overlapping = withHeader((text) => {
  const header = JSON.parse(text) as Record<string, { data_offsets: [number, number] }>;
  const [begin, end] = header[SECOND]!.data_offsets;
  header[SECOND]!.data_offsets = [0, end - begin];
  return JSON.stringify(header);
});

/** All weights, zero, one of them with another type. */
const wrongType = copyOf(fixture.student, (folder) => {
  const entries = [...weightShapes(readModelConfig(folder))].map(([name, shape]): [string, TensorData] => {
    const count = shape.reduce((product, size) => product * size, 1);
    if (name === SECOND) return [name, { dtype: 'F64', shape, data: new Float64Array(count) }];
    return [name, { dtype: 'F32', shape, data: new Float32Array(count) }];
  });
  writeSafetensors(join(folder, 'model.safetensors'), new Map(entries));
});

/** A header that describes the whole model, and a hole for its data. */
const tooLarge = copyOf(fixture.student, (folder) => {
  const config = { ...STUDENT, hidden_size: 8192, intermediate_size: 28_672, num_hidden_layers: 4 };
  writeFileSync(join(folder, 'config.json'), JSON.stringify({ ...config, head_dim: 2048 }));
  const header: Record<string, object> = {};
  let end = 0;
  for (const [name, shape] of weightShapes(readModelConfig(folder))) {
    const begin = end;
    end += shape.reduce((product, size) => product * size, 2);
    header[name] = { dtype: 'BF16', shape, data_offsets: [begin, end] };
  }
  const text = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  const path = join(folder, 'model.safetensors');
  writeFileSync(path, Buffer.concat([length, text]));
  truncateSync(path, 8 + text.length + end);
  assert.ok(openSafetensors(path).tensors.size > 30);
});

const emptyFolder = freshFolder();
const emptyFile = join(freshFolder(), 'empty.txt');
writeFileSync(emptyFile, '');

const cases: Record<string, [change: Record<string, unknown>, message: RegExp]> = {
  'an empty folder': [{ student: emptyFolder }, /expected .*config\.json|config\.json: expected a JSON file/],
  'an empty text': [{ data: [emptyFile] }, /empty\.txt: expected/],
  'truncated weights': [
    { student: withWeights((bytes) => bytes.subarray(0, -5)) },
    /model\.safetensors: byte \d+: expected \d+ bytes, found \d+; fetch or write the file again$/,
  ],
  'weights with more than their tensors': [
    { student: withWeights((bytes) => Buffer.concat([bytes, Buffer.alloc(9)])) },
    /model\.safetensors: byte \d+: expected \d+ bytes, found \d+; fetch or write the file again$/,
  ],
  'weights that overlap': [
    { student: overlapping },
    new RegExp(
      `model\\.safetensors: byte \\d+: expected tensor ${FIRST} at byte \\d+, found an overlap with the one before`,
    ),
  ],
  'weights without a header in JSON': [
    { student: withHeader((header) => header.slice(1)) },
    /model\.safetensors: byte 8: expected a header in JSON, found /,
  ],
  'weights of a type that is not read': [
    { student: wrongType },
    new RegExp(`${SECOND} is F64, expected F32, F16 or BF16$`),
  ],
  'an unsupported model': [
    { student: withConfig({ model_type: 'gpt2' }) },
    /config\.json: model_type: expected one of llama, .*mistral.*, found "gpt2"$/,
  ],
  'absurd sizes': [
    { student: withConfig({ num_hidden_layers: 1e9, hidden_size: 2 ** 40 }) },
    /config\.json: hidden_size: expected at most \d+, found \d+; num_hidden_layers: expected at most 1000, found 1000000000$/,
  ],
  'rank 0': [{ rank: 0 }, /^--rank: expected at least 1, found 0$/],
  'sequence 0': [{ sequence: 0 }, /^--sequence: expected at least 1, found 0$/],
  'threads beyond the machine': [
    { threads: 1000 },
    /^--threads: expected at most \d+ on this machine of \d+ cores, found 1000; leave it out for one per core$/,
  ],
  'a batch beyond all bounds': [
    { batch: 1e9 },
    /^--batch: expected at most 268435456 rows of 16 tokens, found 1000000000; use fewer/,
  ],
  'a micro-batch beyond the memory': [
    { batch: 1e8, microBatch: 1e8 },
    /^expected models of at most [\d.]+ GiB each on this device, found student \d+\.\d\d GiB; use smaller models/,
  ],
  'a sequence beyond the model': [{ sequence: 1e6 }, /^--sequence: expected at most 128, .* found 1000000$/],
  'a sequence beyond the teacher': [
    { teacher: withConfig({ max_position_embeddings: 8 }, fixture.teacher) },
    /^--sequence: expected at most 8, the positions of .*, found 16$/,
  ],
  'a model too large for the device': [
    { student: tooLarge, sequence: 8 },
    /^expected models of at most [\d.]+ GiB each on this device, found student \d+\.\d\d GiB, of which the student's weights alone are more; use .*, or a smaller student$/,
  ],
};

const refused = suite('refused');

for (const [what, [change, expected]] of Object.entries(cases)) {
  refused(what, async () => {
    const out = join(freshFolder(), 'run');
    const options = { ...base, out, ...change } as unknown as TrainInput;
    assert.match(await inputErrorOf(() => train(options).finished), expected);
    assert.not(existsSync(out), 'nothing was written');
  });
}

refused('wrong shapes: all of them, once', async () => {
  const student = withConfig({ intermediate_size: 48 });
  const message = await inputErrorOf(
    () => train({ ...base, student, out: join(freshFolder(), 'run') }).finished,
  );
  for (const name of ['gate_proj', 'up_proj', 'down_proj']) {
    for (const block of [0, 1]) {
      assert.is(message.split(`model.layers.${block}.mlp.${name}.weight is [`).length, 2, message);
    }
  }
});

refused('missing tensors: all of them, by layers', async () => {
  const student = copyOf(fixture.student, (folder) => {
    const path = join(folder, 'model.safetensors');
    const { shape } = openSafetensors(path).tensors.get(FIRST)!;
    const data = new Float32Array(shape.reduce((product, size) => product * size, 1));
    writeSafetensors(path, new Map([[FIRST, { dtype: 'F32', shape, data }]]));
  });
  const message = await inputErrorOf(
    () => train({ ...base, student, out: join(freshFolder(), 'run') }).finished,
  );
  assert.is(message.split('model.layers.{0-1}.').length - 1, 9, message);
  assert.match(message, /; model\.layers\.\{0-1\}\.mlp\.up_proj\.weight is missing; /);
  assert.match(message, /; model\.norm\.weight is missing$/);
});

refused('a rank pattern for no layer', async () => {
  const out = join(freshFolder(), 'run');
  const message = await inputErrorOf(() => train({ ...base, rankPattern: { qproj: 4 }, out }).finished);
  assert.match(
    message,
    /^--rank-pattern: expected .*, found qproj, which no layer ends in; there are model\.layers/,
  );
  assert.not(existsSync(out));
});

refused('a folder that holds a run: it stays as it was', async () => {
  const out = freshFolder();
  writeFileSync(join(out, 'metrics.jsonl'), '{}\n');
  const message = await inputErrorOf(() => train({ ...base, out }).finished);
  assert.match(message, /^--out: expected a folder without a run, found one in .*; add --resume/);
  assert.is(readFileSync(join(out, 'metrics.jsonl'), 'utf8'), '{}\n');
});

refused.run();

const accepted = suite('accepted');

accepted('an adapter with a pattern for no layer, as PEFT allows it', async () => {
  const init = (await train({ ...base, out: join(freshFolder(), 'run') }).finished).adapter!;
  editJson(join(init, 'adapter_config.json'), (json) => {
    json.rank_pattern = { nowhere: 3 };
  });
  const { steps } = await train({ ...base, init, out: join(freshFolder(), 'run') }).finished;
  assert.is(steps, 1);
});

accepted('a teacher whose vocabulary is padded further', async () => {
  const out = join(freshFolder(), 'run');
  mkdirSync(out);
  const { steps } = await train({ ...base, teacher: fixture.teacher, out }).finished;
  assert.is(steps, 1);
});

accepted.run();
