import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { DeviceHosts } from '#src/devices/host.js';
import { layOut, planOn } from '#src/devices/wasm/layout.js';
import { studentModule, teacherModule } from '#src/model/programs.js';
import type { TrainInput } from '#src/options/train.js';
import { totalBytes } from '#src/prepare/memory.js';
import { type Preparation, prepare } from '#src/prepare/prepare.js';
import { resolveOptions } from '#src/prepare/resolveOptions.js';
import { makeFixture, type RawConfig, STUDENT, TEACHER, writeModel } from '../fixtures.js';
import { inputErrorOf } from '../inputErrors.js';

/** Dry runs of models whose weights are not here, and what is said of models that fit nowhere. */

const fixture = makeFixture('absent');
const GIB = 2 ** 30;

/** A folder with what there is of a model beside its weights. */
function bare(name: string, config: RawConfig): string {
  const folder = join(fixture.folder, name);
  mkdirSync(folder);
  writeFileSync(join(folder, 'config.json'), JSON.stringify(config));
  for (const file of ['tokenizer.json', 'tokenizer_config.json'])
    cpSync(join(fixture.student, file), join(folder, file));
  return folder;
}

/** Devices that are never started. */
function devicesOf(maxSessionBytes: number, name = 'wasm'): DeviceHosts {
  const info = { name, kernels: 'wasm', maxSessionBytes, maxTotalBytes: 64 * GIB, microBatchTokens: 2048 };
  const host = { info: { ...info, description: '', lossScaling: false }, plan: planOn };
  return { student: host, teacher: host } as unknown as DeviceHosts;
}

const base = { data: [fixture.text], batch: 8, sequence: 32, out: join(fixture.folder, 'run') };
const prepared = (options: Partial<TrainInput>, devices = devicesOf(4 * GIB)): Promise<Preparation> =>
  prepare(resolveOptions({ ...base, ...options }), devices, () => {});
const told = ({ plans }: Preparation) => [
  totalBytes(plans.student),
  plans.teacher && totalBytes(plans.teacher),
];

const outlines = suite('absent weights');

outlines('a dry run from config.json tells to the byte what the plan with weights takes', async () => {
  const pairs: [RawConfig, RawConfig][] = [
    [STUDENT, TEACHER],
    [
      { ...STUDENT, torch_dtype: 'bfloat16', tie_word_embeddings: false },
      { ...TEACHER, torch_dtype: 'float32' },
    ],
    [{ ...STUDENT, torch_dtype: undefined, dtype: 'bfloat16' }, TEACHER],
  ];
  for (const [i, [first, second]] of pairs.entries()) {
    const absent = { student: bare(`s${i}`, first), teacher: bare(`t${i}`, second) };
    const whole = {
      student: writeModel(
        join(fixture.folder, `S${i}`),
        { ...first, torch_dtype: first.torch_dtype ?? first.dtype },
        1,
      ),
      teacher: writeModel(join(fixture.folder, `T${i}`), second, 2),
    };
    const [dry, real] = [await prepared({ ...absent, dryRun: true }), await prepared(whole)];
    assert.equal(told(dry), told(real));
    assert.is(dry.microBatch, real.microBatch);
    assert.equal([dry.student.student.absent, dry.teacher!.absent], ['config', 'config']);
    assert.equal([real.student.student.absent, real.teacher!.absent], [undefined, undefined]);
  }
});

/** Wide enough that weights and activations are most of it, as in models that are used. */
const WIDE = { hidden_size: 256, intermediate_size: 688, num_hidden_layers: 4, head_dim: 64 };

outlines('what is told is within 5 % of what the device then takes', async () => {
  const student = bare('wide-student', { ...STUDENT, ...WIDE });
  const teacher = bare('wide-teacher', { ...TEACHER, ...WIDE, hidden_size: 512 });
  for (const sequence of [64, 128]) {
    const dry = await prepared({ student, teacher, sequence, dryRun: true });
    const whole = {
      student: writeModel(join(fixture.folder, `wide-S${sequence}`), { ...STUDENT, ...WIDE }, 1),
      teacher: writeModel(
        join(fixture.folder, `wide-T${sequence}`),
        { ...TEACHER, ...WIDE, hidden_size: 512 },
        2,
      ),
    };
    const real = await prepared({ ...whole, sequence });
    const taken = [
      layOut(studentModule(real.student).module, 2).bytes,
      layOut(teacherModule(real.teacher!, real.student.train).module, 2).bytes,
    ];
    for (const [i, bytes] of told(dry).entries()) {
      assert.ok(Math.abs(bytes! / taken[i]! - 1) < 0.05, `${bytes} told, ${taken[i]} taken`);
    }
  }
});

outlines('a run does not begin without weights, nor does a dry run with a cache of the teacher', async () => {
  const [student, teacher] = [bare('no-weights', STUDENT), bare('no-weights-teacher', TEACHER)];
  const missing = /no-weights: expected model\.safetensors or .*, found neither/;
  assert.match(await inputErrorOf(() => prepared({ student })), missing);
  const teacherCache = join(fixture.folder, 'cache');
  assert.match(
    await inputErrorOf(() => prepared({ student, teacher, teacherCache, dryRun: true })),
    /no-weights-teacher: expected model\.safetensors or .*, found neither/,
  );
});

outlines('a type that no run can read is told', async () => {
  const student = bare('float8', { ...STUDENT, torch_dtype: 'float8_e4m3fn' });
  assert.match(
    await inputErrorOf(() => prepared({ student, dryRun: true })),
    /float8\/config\.json: torch_dtype: expected float32, float16, bfloat16/,
  );
});

outlines.run();

const heavy = suite('weights that fit nowhere');

const LLAMA_1B: RawConfig = {
  ...STUDENT,
  vocab_size: 128_256,
  hidden_size: 2048,
  intermediate_size: 8192,
  num_hidden_layers: 16,
  num_attention_heads: 32,
  num_key_value_heads: 8,
  head_dim: 64,
  torch_dtype: 'bfloat16',
};
const LLAMA_8B: RawConfig = {
  ...LLAMA_1B,
  hidden_size: 4096,
  intermediate_size: 14_336,
  num_hidden_layers: 32,
  head_dim: 128,
  tie_word_embeddings: false,
};

heavy('one line says which, and what to use; of other sizes, what makes a run smaller', async () => {
  const [student, teacher] = [bare('llama-1b', LLAMA_1B), bare('llama-8b', LLAMA_8B)];
  const small = { sequence: 128, student, dryRun: true };
  const onWasm = await inputErrorOf(() => prepared({ ...small, teacher }));
  assert.match(
    onWasm,
    /^expected models of at most 4\.00 GiB each on this device, found student 3\.\d\d GiB, teacher (\d+\.\d\d) GiB, of which the teacher's weights alone are more; use --device webgpu with a GPU of at least (\d+) GiB, or a smaller teacher$/,
  );
  const [, bytes, gpu] = /teacher ([\d.]+) GiB.*at least (\d+) GiB/.exec(onWasm)!;
  // 8.03 G parameters of two bytes, and what a row of 128 tokens takes.
  assert.ok(Number(bytes) > 14.95 && Number(bytes) < 15.2, bytes);
  assert.ok(Number(gpu) <= 20, gpu);
  assert.match(
    await inputErrorOf(() => prepared({ ...small, teacher }, devicesOf(8 * GIB, 'webgpu'))),
    /the teacher's weights alone are more; use a larger GPU, or a smaller teacher$/,
  );
  assert.match(
    await inputErrorOf(() => prepared({ ...small, rank: 1024, trainable: 'lora' })),
    /found student [\d.]+ GiB; use smaller models, a shorter --sequence, a lower --rank or a smaller --micro-batch$/,
  );
  const { plans } = await prepared({ ...small, teacher }, devicesOf(24 * GIB, 'webgpu'));
  assert.ok(totalBytes(plans.teacher!) > 14.95 * GIB);
});

heavy.run();
