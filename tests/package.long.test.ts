import { execFile } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { makeFixture } from './fixtures.js';
import { projectRoot, temporaryFolder } from './support.js';

/** The package as people install it: packed, unpacked into an empty TypeScript project, compiled and run there. */

const run = promisify(execFile);
const modules = join(projectRoot, 'node_modules');
const folder = realpathSync(temporaryFolder('package'));
const project = join(folder, 'project');
const installed = join(project, 'node_modules/rivulet');
/** What npm links, which tells the program how it was called. */
const command = join(project, 'node_modules/.bin/rivulet');

interface Packed {
  readonly filename: string;
  readonly files: readonly { readonly path: string }[];
}

interface Manifest {
  readonly bin: Readonly<Record<string, string>>;
  readonly dependencies: Readonly<Record<string, string>>;
}

const manifest: Manifest = JSON.parse(readFileSync(join(projectRoot, 'package.json'), 'utf8'));
const bin = join(installed, manifest.bin.rivulet!);

/** What a program that uses all of the library looks like; it is compiled, never run. */
const PROGRAM = `
import {
  cacheTeacher, evaluate, generate, InputError, loadModel, loadTokenizer, merge, RunError, tokenize, train,
  type CacheInput, type Corpus, type CorpusStatistics, type Evaluation, type EvaluateInput, type EvaluateTasksInput, type FilledCache, type GenerateInput, type GenerationRecord, type Merged, type MergeInput, type MetricsRecord, type Model,
  type ModelOptions, type PerplexityOptions, type Prompt, type Run, type RunPlan, type RunResult, type TaskEvaluation, type TaskProgress, type TokenizeInput, type Tokenizer,
  type TrainInput, type TrainOptions,
} from 'rivulet';

const input: TrainInput = { student: 'student', data: ['text.txt'], config: 'run.yaml', dryRun: true };
const run: Run = train(input);
run.metrics$.subscribe((record: MetricsRecord) => {
  if (record.type === 'step') record.loss.toFixed(3);
});
const plan: RunPlan = await run.prepared;
const bytes: number = plan.memory.student + (plan.memory.teacher ?? 0);
const rank: number | undefined = plan.rank;
const options: TrainOptions = plan.options;
const result: RunResult = await run.finished;
run.stop();

train({ resume: true, out: 'x' });
train({ batch: 64 });
// @ts-expect-error no such option
train({ btach: 64 });
// @ts-expect-error no such value
train({ schedule: 'cosin' });
// @ts-expect-error models, memory plans and modules stay inside
plan.plans;

const scored: EvaluateInput = { model: 'student', perplexity: 'text.txt' };
const evaluation: Evaluation = await evaluate(scored, { signal: new AbortController().signal });
// @ts-expect-error for the command line alone
await evaluate({ ...scored, json: true });
const asked: EvaluateTasksInput = { model: 'student', tasks: ['mmlu'], limit: 0.1 };
const onTask = ({ items }: TaskProgress) => items.toFixed();
const { results }: TaskEvaluation = await evaluate(asked, { onTask });
const accuracy: number | null | undefined = results.mmlu?.acc;
// @ts-expect-error no such task
await evaluate({ model: 'student', tasks: ['mmul'] });
const read: TokenizeInput = { model: 'student', data: ['text.txt'] };
const corpus: Corpus = await tokenize(read, { onProgress: ({ tokens }) => tokens.toFixed() });
const statistics: CorpusStatistics = corpus;
// @ts-expect-error for the command line alone
await tokenize({ ...read, json: true });

const kept: CacheInput = { model: 'teacher', data: ['text.txt'], out: 'cache' };
const filled: FilledCache = await cacheTeacher(kept);
const parts: MergeInput = { model: 'student', adapter: ['adapter', 'other:0.5'], out: 'merged' };
const merged: Merged = await merge(parts, { onProgress: ({ bytes }) => bytes.toFixed() });

const wanted: GenerateInput = { model: 'student', prompt: 'the' };
const hear = (found: readonly Prompt[]) => void found.length;
generate(wanted, { onPrompts: hear }).subscribe((record: GenerationRecord) => record.text.length);
// @ts-expect-error for the command line alone
generate({ ...wanted, chat: true });

const modelOptions: ModelOptions = { adapter: result.adapter, device: 'wasm', sequence: 64 };
const model: Model = await loadModel('student', modelOptions);
const named: PerplexityOptions = { name: 'a text' };
const { nll } = await model.perplexity('a text', named);
const logits: Float32Array = await model.logits([1, 2, 3]);
await model.close();
const tokenizer: Tokenizer = await loadTokenizer('student');
const ids: Uint32Array = tokenizer.encode('a text');

export const all = [bytes, rank, options, evaluation.nll, accuracy, statistics.tokens, filled.bytes, nll, logits, ids, InputError, RunError];
`;

const CONFIG = {
  compilerOptions: {
    ...{ target: 'es2023', module: 'nodenext', strict: true, skipLibCheck: false },
    ...{ noEmit: true, types: [], listFiles: true, preserveSymlinks: true },
  },
  files: ['program.ts'],
};

/** Names of packages in a `node_modules`, scoped ones too. */
const packagesIn = (path: string): string[] =>
  readdirSync(path)
    .filter((name) => !name.startsWith('.'))
    .flatMap((name) =>
      name.startsWith('@') ? readdirSync(join(path, name)).map((inner) => `${name}/${inner}`) : [name],
    );

/** Links packages into the project, as an installation without the types of Node and WebGPU has them. */
function linkPackages(): void {
  const names = packagesIn(modules).filter((name) => !/^@(types|webgpu)\//.test(name));
  for (const name of Object.keys(manifest.dependencies)) assert.ok(names.includes(name), name);
  for (const name of names) {
    const path = join(project, 'node_modules', name);
    mkdirSync(dirname(path), { recursive: true });
    symlinkSync(join(modules, name), path);
  }
}

/** Packs and installs. @returns paths in the tarball */
async function install(): Promise<string[]> {
  const npm = ['pack', '--ignore-scripts', '--json', '--pack-destination', folder];
  const { stdout } = await run('npm', npm, { cwd: projectRoot });
  const [packed] = JSON.parse(stdout) as [Packed];
  mkdirSync(installed, { recursive: true });
  const tarball = join(folder, packed.filename);
  await run('tar', ['-xzf', tarball, '-C', installed, '--strip-components=1']);
  linkPackages();
  mkdirSync(dirname(command), { recursive: true });
  symlinkSync(bin, command);
  writeFileSync(join(project, 'package.json'), '{ "name": "project", "private": true, "type": "module" }');
  writeFileSync(join(project, 'program.ts'), PROGRAM);
  writeFileSync(join(project, 'tsconfig.json'), JSON.stringify(CONFIG));
  return packed.files.map(({ path }) => path);
}

/** What the installed program prints. @throws its output where it fails */
async function rivulet(...args: string[]): Promise<string> {
  return (await run(process.execPath, [command, ...args], { cwd: project })).stdout;
}

const tests = suite('package');
let files: string[] = [];

tests.before(async () => {
  files = await install();
});
tests.after(() => rmSync(folder, { recursive: true, force: true }));

tests('it holds what runs and what says what it is, no tests, no maps, no build information', () => {
  for (const path of [
    'LICENSE',
    'README.md',
    'dist/rivulet.js',
    'dist/index.d.ts',
    'docs/train.schema.json',
  ]) {
    assert.ok(files.includes(path), path);
  }
  assert.ok(files.some((path) => path.startsWith('miniature/student/')));
  assert.equal(
    files.filter((path) => /\.(map|tsbuildinfo)$|(^|\/)(tests|bench)\/|\.test\.|(?<!\.d)\.ts$/.test(path)),
    [],
  );
  assert.is(readFileSync(bin, 'utf8').split('\n')[0], '#!/usr/bin/env node');
});

tests('a strict project compiles with its types, which reach nothing internal', async () => {
  const compiler = join(modules, 'typescript/bin/tsc');
  const { stdout } = await run(process.execPath, [compiler, '-p', project], { cwd: project }).catch(
    ({ stdout }: { stdout: string }) => ({ stdout: `refused\n${stdout}` }),
  );
  const lines = stdout.trim().split('\n');
  assert.equal(
    lines.filter((line) => line === 'refused' || /error TS/.test(line)),
    [],
  );
  assert.is(
    lines.some((line) => line.includes('@types/node')),
    false,
  );
  const ours = lines.flatMap((line) => line.split('/rivulet/dist/')[1] ?? []);
  assert.ok(ours.includes('index.d.ts') && ours.includes('library/runPlan.d.ts'));
  const internal = /^(actors|devices|formats|hub|model|prepare|program|training|wasm)\/|^messages/;
  assert.equal(
    ours.filter((path) => internal.test(path)),
    [],
  );
});

tests('every verb says what its options are', async () => {
  const flags = {
    train: '--student',
    evaluate: '--perplexity',
    study: '--config',
    tokenize: '--text-column',
    cache: '--teacher-cache-dtype',
    generate: '--prompt',
    merge: '--adapter',
  };
  const verbs = [...(await rivulet('--help')).matchAll(/^ {2}([a-z]+) {2,}/gm)].map(([, verb]) => verb);
  assert.equal(verbs.sort(), Object.keys(flags).sort());
  const tell = async ([verb, flag]: [string, string]) => {
    const help = await rivulet(verb, '--help');
    assert.match(help, `rivulet ${verb} `);
    assert.match(help, flag);
  };
  await Promise.all(Object.entries(flags).map(tell));
});

tests('every verb runs, and so does the library', async () => {
  const { student, text } = makeFixture('packaged');
  const small = ['--sequence', '16', '--device', 'wasm', '--threads', '1'];
  const out = join(mkdtempSync(join(folder, 'runs-')), 'run');
  const training = ['--data', text, '--batch', '2', '--steps', '1', '--out', out];
  assert.match(await rivulet('train', '--student', student, ...training, ...small), /adapter in /);
  const adapter = join(out, 'adapter');
  assert.ok(existsSync(join(adapter, 'adapter_model.safetensors')));
  const scored = await rivulet(
    ...['evaluate', '--model', student, '--adapter', adapter, '--perplexity', text, '--json', ...small],
  );
  assert.ok(JSON.parse(scored).nll > 0);
  const corpus = JSON.parse(await rivulet('tokenize', '--model', student, '--data', text, '--json'));
  assert.is(corpus.documents, 1);
  const script =
    `import { loadTokenizer } from 'rivulet'; const { bosId } = await loadTokenizer(${JSON.stringify(student)});` +
    'console.log(bosId);';
  const library = await run(process.execPath, ['--input-type=module', '-e', script], { cwd: project });
  assert.is(library.stdout, '1\n');
});

tests.run();
