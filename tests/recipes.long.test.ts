import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { DeviceHosts } from '#src/devices/host.js';
import { layOut, planOn } from '#src/devices/wasm/layout.js';
import { readRunFile } from '#src/formats/runFile.js';
import { studentModule, teacherModule } from '#src/model/programs.js';
import type { TrainInput } from '#src/options/train.js';
import { totalBytes } from '#src/prepare/memory.js';
import { type Preparation, prepare } from '#src/prepare/prepare.js';
import { resolveOptions } from '#src/prepare/resolveOptions.js';
import { MEETING, meetingLines, OTHER } from './data/meetings.js';
import { makeFixture, type RawConfig, STUDENT, TEACHER, writeModel } from './fixtures.js';
import { FakeHub } from './hub/server.js';
import { inputErrorOf } from './inputErrors.js';
import { flags, runProgram } from './run/process.js';
import { projectRoot } from './support.js';

/** Every recipe: two steps on models of its architecture with random weights, and its plan at full size. Nothing is fetched. */

const fixture = makeFixture('recipes');
const freshFolder = () => mkdtempSync(join(fixture.folder, 'recipe-'));
const recipe = (name: string) => join(projectRoot, 'recipes', name);
const meetings = join(fixture.folder, 'meetings.jsonl');
writeFileSync(meetings, meetingLines([MEETING, OTHER]));

/** What the published models of a family have in common. */
const LLAMA_3: RawConfig = {
  ...STUDENT,
  ...{ num_attention_heads: 32, num_key_value_heads: 8, rope_theta: 500_000, torch_dtype: 'bfloat16' },
  max_position_embeddings: 131_072,
};
const rope = (factor: number): RawConfig => ({
  rope_type: 'llama3',
  ...{ factor, low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 8192 },
});
const SMOLLM_2: RawConfig = {
  ...STUDENT,
  ...{
    vocab_size: 49_152,
    rope_theta: 100_000,
    max_position_embeddings: 8192,
    torch_dtype: 'bfloat16',
    head_dim: 64,
  },
};

/** Models of the recipes as their config.json has them. */
const FULL: Readonly<Record<string, RawConfig>> = {
  'Llama-3.2-1B': {
    ...{ ...LLAMA_3, vocab_size: 128_256, hidden_size: 2048, intermediate_size: 8192, num_hidden_layers: 16 },
    ...{ head_dim: 64, rope_scaling: rope(32) },
  },
  'Llama-3.1-8B-Instruct': {
    ...{
      ...LLAMA_3,
      vocab_size: 128_256,
      hidden_size: 4096,
      intermediate_size: 14_336,
      num_hidden_layers: 32,
    },
    ...{ head_dim: 128, rope_scaling: rope(8), tie_word_embeddings: false },
  },
  'SmolLM2-135M': {
    ...{ ...SMOLLM_2, hidden_size: 576, intermediate_size: 1536, num_hidden_layers: 30 },
    ...{ num_attention_heads: 9, num_key_value_heads: 3 },
  },
  'SmolLM2-360M': {
    ...{ ...SMOLLM_2, hidden_size: 960, intermediate_size: 2560, num_hidden_layers: 32 },
    ...{ num_attention_heads: 15, num_key_value_heads: 5 },
  },
};

/** The same architecture with two narrow blocks and a small vocabulary. */
const small = (name: string): RawConfig => {
  const { hidden_size: width, intermediate_size: inner } = FULL[name] as Record<string, number>;
  return {
    ...FULL[name],
    ...{ vocab_size: TEACHER.vocab_size, num_hidden_layers: 2, head_dim: 8 },
    ...{ hidden_size: width! / 16, intermediate_size: inner! / 16 },
  };
};

/** A folder with all of a model but its weights. */
function bare(name: string, config: RawConfig): string {
  const folder = join(fixture.folder, name);
  mkdirSync(folder);
  writeFileSync(join(folder, 'config.json'), JSON.stringify(config));
  for (const file of ['tokenizer.json', 'tokenizer_config.json'])
    cpSync(join(fixture.student, file), join(folder, file));
  return folder;
}

const names = Object.keys(FULL);
const mapped = <T>(make: (name: string, i: number) => T) =>
  Object.fromEntries(names.map((name, i) => [name, make(name, i)]));
const withWeights = mapped((name, i) => writeModel(join(fixture.folder, name), small(name), i));
const withoutWeights = mapped((name) => bare(`bare-${name}`, small(name)));
const fullSize = mapped((name) => bare(`full-${name}`, FULL[name]!));
type Models = Readonly<Record<string, string>>;

/** What of a recipe is replaced: where its models and its text are. */
type Place = (models: Models) => Partial<TrainInput>;
const RECIPES: Readonly<Record<string, { readonly place: Place; readonly steps: number }>> = {
  'foundation.yaml': {
    place: (models) => ({
      ...{ student: models['Llama-3.2-1B'], teacher: models['Llama-3.1-8B-Instruct'], data: [fixture.jsonl] },
    }),
    steps: 76_294,
  },
  'laptop.yaml': {
    place: (models) => ({
      ...{ student: models['SmolLM2-135M'], teacher: models['SmolLM2-360M'], data: [fixture.jsonl] },
    }),
    steps: 245,
  },
  'qmsum-random.yaml': {
    place: (models) => ({ student: models['Llama-3.2-1B'], data: [meetings], evalData: meetings }),
    steps: 1,
  },
  'qmsum-foundation.yaml': {
    place: (models) => ({
      student: models['Llama-3.2-1B'],
      data: [meetings],
      evalData: meetings,
      init: foundation,
    }),
    steps: 1,
  },
};
/** The adapter of rank 64 that a recipe begins from; the test of its own recipe makes it. */
const foundation = join(fixture.folder, 'foundation-64', 'adapter');

/** Short rows, and no more of a text than there is. */
const SMALLER = { batch: 2, steps: 2, threads: 1, shuffleRows: 8, evalTokens: 256 };
const smaller = (name: string): Partial<TrainInput> =>
  name.startsWith('qmsum') ? { ...SMALLER, sequence: 256 } : { ...SMALLER, sequence: 32, evalFraction: 0.2 };

async function trained(name: string, models: Models, change: Partial<TrainInput> = {}, cwd = freshFolder()) {
  const options = { ...RECIPES[name]!.place(models), ...smaller(name), ...change };
  const args = ['--config', recipe(name), ...flags(options)];
  return { cwd, ...(await runProgram('train', args, { cwd })) };
}

const memoryLine = (text: string) => /memory +(student [\d,]+ MiB(?:, teacher [\d,]+ MiB)?)/.exec(text)?.[1];

const steps = suite('two steps of a recipe');

steps('every recipe is tried', () => {
  const there = readdirSync(recipe('.')).filter((name) => name.endsWith('.yaml'));
  assert.equal(there.sort(), Object.keys(RECIPES).sort());
});

steps('the foundation adapter of rank 64 that fine-tuning begins from', async () => {
  const out = join(fixture.folder, 'foundation-64');
  const { code, stderr } = await trained('foundation.yaml', withWeights, { rank: 64, out });
  assert.is(code, 0, stderr);
  assert.is(readRunFile(out)!.options.rank, 64);
  assert.ok(existsSync(foundation));
});

for (const name of Object.keys(RECIPES)) {
  steps(`${name}: told what it will take without weights, then run`, async () => {
    const dry = await trained(name, withoutWeights, { dryRun: true });
    assert.is(dry.code, 0, dry.stderr);
    assert.equal(readdirSync(dry.cwd), []);
    assert.match(dry.stdout, /^# +time +about [\d:]+ \([\d.e+-]+ s a step;/m);
    assert.match(dry.stdout, /the student's weights are not here: sizes are those of its config\.json/);
    const run = await trained(name, withWeights, { out: 'run' });
    assert.is(run.code, 0, run.stderr);
    const told = memoryLine(dry.stdout);
    assert.ok(
      told !== undefined && told === memoryLine(run.stderr + run.stdout),
      `${told} told: ${run.stderr}`,
    );
    const out = join(run.cwd, 'run');
    assert.ok(existsSync(join(out, 'adapter/adapter_model.safetensors')));
    const lines = readFileSync(join(out, 'metrics.jsonl'), 'utf8').trim().split('\n');
    const losses = lines
      .map((line) => JSON.parse(line) as { type: string; loss: number })
      .filter(({ type }) => type === 'step');
    assert.is(losses.length, 2);
    assert.ok(losses.every(({ loss }) => Number.isFinite(loss)));
    const rank = name.startsWith('qmsum') ? 64 : 8;
    assert.is(readRunFile(out)!.options.rank, rank);
  });
}

steps('foundation.yaml reads QuRatedPajama where it is: its text, or its token ids', async () => {
  const rows = readFileSync(join(projectRoot, 'tests/goldens/documents/token-ids.parquet'));
  const files = {
    'data/train-00000-of-00002.parquet': rows,
    'data/train-00001-of-00002.parquet': Buffer.from('no'),
  };
  const hub = await FakeHub.start('princeton-nlp/QuRatedPajama-260B', files, ['main'], 'dataset');
  try {
    const cwd = freshFolder();
    const env = { HF_ENDPOINT: hub.endpoint, HF_HUB_CACHE: join(cwd, 'cache') };
    const { data: _, ...place } = RECIPES['foundation.yaml']!.place(withWeights);
    for (const idsTokenizer of [undefined, fixture.student]) {
      const out = idsTokenizer === undefined ? 'text' : 'ids';
      const options = { ...place, ...smaller('foundation.yaml'), idsTokenizer, out };
      const args = ['--config', recipe('foundation.yaml'), ...flags(options)];
      const { code, stderr } = await runProgram('train', args, { cwd, env });
      assert.is(code, 0, stderr);
      assert.ok(existsSync(join(cwd, out, 'adapter')));
    }
  } finally {
    await hub.close();
  }
});

/** The study on other models, with short rows and few steps. @returns its path, relative to `cwd` */
function smallStudy(cwd: string, models: Models): string {
  const written = readFileSync(recipe('studies/foundation.yaml'), 'utf8')
    .replace(/data: .*/, `data: ${fixture.jsonl}\n  threads: 1\n  shuffleRows: 8`)
    .replaceAll(/meta-llama\/Llama-3\.2-1B(-Instruct)?/g, models['Llama-3.2-1B']!)
    .replaceAll('meta-llama/Llama-3.1-8B-Instruct', models['Llama-3.1-8B-Instruct']!)
    .replace('sequence: 1024', 'sequence: 32')
    .replace('batch: 64', 'batch: 2')
    .replace('evalFraction: 0.02', 'evalFraction: 0.2')
    .replace('tokens: 5000000000', 'steps: 2');
  writeFileSync(join(cwd, 'study.yaml'), `${written}curve: 1\ncheckpoints: 1\n`);
  return 'study.yaml';
}

steps('studies/foundation.yaml: six cells, counted without weights, then run', async () => {
  const cwd = freshFolder();
  const args = (models: Models) => ['--config', smallStudy(cwd, models), '--out', 'out'];
  const dry = await runProgram('study', [...args(withoutWeights), '--dry-run'], { cwd });
  assert.is(dry.code, 0, dry.stderr);
  assert.match(dry.stdout, /^cells +6$/m);
  const { code, stderr } = await runProgram('study', args(withWeights), { cwd });
  assert.is(code, 0, stderr);
  const { cells } = JSON.parse(readFileSync(join(cwd, 'out/cells.json'), 'utf8')) as {
    cells: { status: string }[];
  };
  assert.equal(
    cells.map(({ status }) => status),
    Array(6).fill('done'),
  );
});

steps.run();

const GIB = 2 ** 30;

/** Devices that are never started. */
function devicesOf(name: 'wasm' | 'webgpu', maxSessionBytes: number): DeviceHosts {
  const info = { name, kernels: name, maxSessionBytes, maxTotalBytes: 96 * GIB, microBatchTokens: 2048 };
  const host = { info: { ...info, description: '', lossScaling: false }, plan: planOn };
  return { student: host, teacher: host } as unknown as DeviceHosts;
}

const WASM = devicesOf('wasm', 65_535 * 65_536);
const GPU = devicesOf('webgpu', 96 * GIB);

const planned = (name: string, change: Partial<TrainInput>, devices: DeviceHosts): Promise<Preparation> => {
  const options = { config: recipe(name), ...RECIPES[name]!.place(fullSize), dryRun: true, ...change };
  return prepare(resolveOptions({ ...options, out: join(fixture.folder, 'none') }), devices, () => {});
};

/** What is told, and what a device of 16 threads takes. */
const sizes = ({ plans, student, teacher }: Preparation) => {
  const told = [plans.student, ...(plans.teacher ? [plans.teacher] : [])].map(totalBytes);
  const modules = [studentModule(student), ...(teacher ? [teacherModule(teacher, student.train)] : [])];
  return { told, taken: modules.map(({ module }) => layOut(module, 16).bytes) };
};

const whole = suite('a recipe at full size');

whole('parameters and steps are those published; memory is told within 5 % of what is taken', async () => {
  const parameters = { 8: 5_636_096, 32: 22_544_384, 64: 45_088_768, 128: 90_177_536 };
  for (const [rank, expected] of Object.entries(parameters)) {
    const prepared = await planned('foundation.yaml', { rank: Number(rank) }, GPU);
    assert.is(prepared.parameters, expected);
    assert.is(prepared.schedule.steps, RECIPES['foundation.yaml']!.steps);
  }
  for (const name of ['foundation.yaml', 'laptop.yaml', 'qmsum-random.yaml']) {
    const prepared = await planned(name, {}, name === 'foundation.yaml' ? GPU : WASM);
    const { told, taken } = sizes(prepared);
    for (const [i, bytes] of told.entries()) {
      assert.ok(Math.abs(bytes / taken[i]! - 1) < 0.05, `${name}: ${bytes} told, ${taken[i]} taken`);
    }
    if (name !== 'foundation.yaml')
      assert.ok(
        taken.every((bytes) => bytes < 65_535 * 65_536),
        name,
      );
  }
  assert.is((await planned('laptop.yaml', {}, WASM)).schedule.steps, RECIPES['laptop.yaml']!.steps);
});

whole('a teacher of 8 G parameters fits into no WebAssembly memory: one line, with what to use', async () => {
  assert.match(
    await inputErrorOf(() => planned('foundation.yaml', {}, WASM)),
    /^expected models of at most 4\.00 GiB each on this device, found student [\d.]+ GiB, teacher 15\.\d\d GiB, of which the teacher's weights alone are more; use --device webgpu with a GPU of at least \d+ GiB, or a smaller teacher$/,
  );
});

whole.after(() => rmSync(fixture.folder, { recursive: true, force: true }));

whole.run();
