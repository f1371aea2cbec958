import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { checkpointPath } from '#src/formats/checkpointFiles.js';
import { HASHES_FILE, hashFolder } from '#src/formats/hashes.js';
import type { TrainInput } from '#src/options/train.js';
import type { EvalRecord, MetricsRecord, StepRecord } from '#src/records.js';
import { gpuSuite, noGpu } from '../devices/gpuDevice.js';
import { makeFixture } from '../fixtures.js';
import { type Ending, flags, startProgram } from './process.js';

/** Whole runs on the webgpu device: the numbers of the CPU, faults, and a GPU that is lost on the way. */

const fixture = makeFixture('webgpu');
const ENV = { RIVULET_SOFTWARE_GPU: '1', XDG_RUNTIME_DIR: '/tmp' };
const LIMIT_MS = 5000;
const options: TrainInput = {
  ...{ student: fixture.student, teacher: fixture.teacher, data: [fixture.jsonl] },
  ...{ batch: 4, microBatch: 2, sequence: 16, threads: 1, steps: 16, evalEvery: 4, evalTokens: 64 },
  ...{ evalFraction: 0.2, checkpointEvery: 4, lr: 1e-3, out: 'run' },
};

interface Ran extends Ending {
  readonly run: string;
  readonly records: readonly MetricsRecord[];
}

async function trainWith(
  change: Partial<TrainInput>,
  program: { imports?: string[]; env?: object } = {},
): Promise<Ran> {
  const cwd = mkdtempSync(join(fixture.folder, 'webgpu-'));
  const { imports = [], env = {} } = program;
  const { ended } = startProgram('train', flags({ ...options, ...change }), {
    cwd,
    imports,
    env: { ...ENV, ...env },
  });
  const ending = await ended;
  const run = join(cwd, 'run');
  const lines = ending.code === 0 ? readFileSync(join(run, 'metrics.jsonl'), 'utf8').trim().split('\n') : [];
  return { ...ending, run, records: lines.map((line) => JSON.parse(line) as MetricsRecord) };
}

const stepsOf = ({ records }: Pick<Ran, 'records'>) =>
  records.filter((record): record is StepRecord => record.type === 'step');
const evalsOf = ({ records }: Ran) =>
  records.filter((record): record is EvalRecord => record.type === 'eval');
const adapterOf = ({ run }: Ran) => readFileSync(join(run, 'adapter/adapter_model.safetensors'));

/** Losses of all steps and evaluations agree to `allowed`, relative. */
function expectSame(found: Ran, expected: Ran, allowed: number): void {
  const losses = (run: Ran) => [
    ...stepsOf(run).map(({ loss }) => loss),
    ...evalsOf(run).map(({ nll }) => nll),
  ];
  const [ours, theirs] = [losses(found), losses(expected)];
  assert.is(ours.length, theirs.length);
  ours.forEach((loss, i) => {
    assert.ok(Math.abs(loss / theirs[i]! - 1) <= allowed, `loss ${i}: ${loss}, expected ${theirs[i]}`);
  });
}

const { tests, test } = gpuSuite('runs on webgpu');

const onCpu = noGpu ? undefined : await trainWith({ device: 'wasm' });
const onGpu = noGpu ? undefined : await trainWith({ device: 'webgpu' });

test('f32 kernels give the losses of the CPU', () => {
  assert.is(onGpu!.code, 0, onGpu!.stderr);
  expectSame(onGpu!, onCpu!, 1e-4);
});

test('f16 kernels give them within 2 %, and count what they skip', async () => {
  const halves = await trainWith({ device: 'webgpu', kernels: 'f16' });
  assert.is(halves.code, 0, halves.stderr);
  expectSame(halves, onCpu!, 2e-2);
  for (const { skipped_steps, loss_scale } of stepsOf(halves)) {
    assert.is(skipped_steps, 0);
    assert.is(loss_scale, 64);
  }
});

test('steps whose gradients overflow halves change nothing and are counted', async () => {
  const halves = { ...options, device: 'webgpu', kernels: 'f16', steps: 8, keep: 9 } as const;
  const before = await trainWith(halves);
  assert.is(before.code, 0, before.stderr);
  const [fourth, last] = [4, 8].map((step) => checkpointPath(join(before.run, 'checkpoints'), step));
  rmSync(last!, { recursive: true });
  const path = join(fourth!, 'state.json');
  const state = JSON.parse(readFileSync(path, 'utf8'));
  writeFileSync(path, JSON.stringify({ ...state, lossScale: { scale: 2 ** 40, steady: 0, skipped: 0 } }));
  writeFileSync(join(fourth!, HASHES_FILE), await hashFolder(fourth!));
  const resumed = startProgram('train', flags({ resume: true, out: before.run }), {
    cwd: before.run,
    env: ENV,
  });
  const { code, stderr } = await resumed.ended;
  assert.is(code, 0, stderr);
  const lines = readFileSync(join(before.run, 'metrics.jsonl'), 'utf8').trim().split('\n');
  const records = lines.map((line) => JSON.parse(line) as MetricsRecord);
  const steps = stepsOf({ records }).filter(({ step }) => step > 4);
  assert.equal(
    steps.map(({ grad_norm, loss_scale, skipped_steps }) => [grad_norm, loss_scale, skipped_steps]),
    [40, 39, 38, 37].map((exponent, i) => [null, 2 ** exponent, i]),
  );
  assert.ok(steps.every(({ loss }) => Number.isFinite(loss)));
  const adapterIn = (folder: string) => readFileSync(join(folder, 'adapter/adapter_model.safetensors'));
  assert.ok(adapterIn(before.run).equals(adapterIn(fourth!)));
});

test('the teacher on a device of its own gives the same losses', async () => {
  const apart = await trainWith({ device: 'webgpu', teacherDevice: 'webgpu:0' });
  assert.is(apart.code, 0, apart.stderr);
  assert.ok(adapterOf(apart).equals(adapterOf(onGpu!)));
});

test('a run whose GPU is lost goes on from its checkpoint to the same bits', async () => {
  const lost = await trainWith({ device: 'webgpu' }, { imports: [import.meta.resolve('./breakGpu.js')] });
  assert.is(lost.code, 0, lost.stderr);
  assert.match(lost.stderr, /the GPU device was lost.*; going on from step (4|8|12) on a new device/);
  assert.ok(adapterOf(lost).equals(adapterOf(onGpu!)));
  assert.equal(
    stepsOf(lost).map(({ step, loss }) => [step, loss]),
    stepsOf(onGpu!).map(({ step, loss }) => [step, loss]),
  );
});

test('the quickstart, shortened, reaches the held-out loss of the CPU within 1 %', async () => {
  const short = { batch: 8, steps: 4, evalTokens: 1024, checkpointEvery: 4, out: 'run' };
  const losses: number[] = [];
  for (const device of ['wasm', 'webgpu']) {
    const cwd = mkdtempSync(join(fixture.folder, 'webgpu-'));
    const { code, stderr } = await startProgram('train', flags({ ...short, device }), { cwd, env: ENV })
      .ended;
    assert.is(code, 0, stderr);
    const lines = readFileSync(join(cwd, 'run', 'metrics.jsonl'), 'utf8')
      .trim()
      .split('\n');
    const records = lines.map((line) => JSON.parse(line) as MetricsRecord);
    losses.push(records.filter((record) => record.type === 'eval').at(-1)!.nll);
  }
  assert.ok(Math.abs(losses[1]! / losses[0]! - 1) < 0.01, `held-out losses ${losses}`);
});

for (const worker of ['student', 'teacher'] as const) {
  test(`a ${worker} that is terminated mid-step ends the run cleanly`, async () => {
    const cwd = mkdtempSync(join(fixture.folder, 'webgpu-'));
    const imports = [import.meta.resolve('./breakWorker.js')];
    const env = { ...ENV, BREAK_WORKER: worker, BREAK_HOW: 'exit', BREAK_WHEN: 'step' };
    const args = flags({ ...options, device: 'webgpu', steps: 100_000 });
    const { child, ended, printed } = startProgram('train', args, { cwd, imports, env });
    await printed(/BROKEN NOW/);
    const timer = setTimeout(() => child.kill('SIGKILL'), LIMIT_MS);
    const { code, signal, stderr } = await ended;
    clearTimeout(timer);
    assert.is(signal, null, `still alive after ${LIMIT_MS} ms: ${stderr}`);
    assert.is(code, 1, stderr);
    const expected = new RegExp(`^error: ${worker}, step \\d+: its thread exited with code [01]`, 'm');
    assert.match(stderr, expected);
  });
}

test('a second SIGINT stops at once', async () => {
  const cwd = mkdtempSync(join(fixture.folder, 'webgpu-'));
  const long = { ...options, device: 'webgpu', batch: 1024, sequence: 128 };
  const { child, ended, printed } = startProgram('train', flags(long), { cwd, env: ENV });
  await printed(/memory/);
  child.kill('SIGINT');
  await printed(/SIGINT: saving what is trained; once more/);
  child.kill('SIGINT');
  const { signal, stderr } = await ended;
  assert.is(signal, 'SIGINT', stderr);
  assert.not.match(stderr, /error|FATAL/);
});

tests.run();
