import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { layOut } from '#src/devices/webgpu/layout.js';
import type { Matrices, Target } from '#src/devices/webgpu/lowering/lowering.js';
import { WebGpuSession } from '#src/devices/webgpu/session.js';
import { type TrialOptions, Trials } from '#src/devices/webgpu/trials.js';
import { Tuner } from '#src/devices/webgpu/tuner.js';
import { runCase } from '../ops/harness.js';
import { cases } from '../ops/index.js';
import { temporaryFolder } from '../support.js';
import { emulateMatrices } from './emulatedMatrices.js';
import { dispatchesOf, type GpuDevice, gpuSuite, openChanged, prepareNamed } from './gpuDevice.js';

/** Pipelines that take the process down that makes them. */

const { tests, test } = gpuSuite('trials of pipelines');

const SQUARE: Matrices = { m: 16, n: 16, k: 16, subgroup: 32 };
const CASE = 'linear 300 x 600 to 8, f32, no base, scale 0.25';
const folder = temporaryFolder('trials');

/** A program for trials, with what it does at which text. */
const crashing = new URL('./crashingTrials.js', import.meta.url);
type Faults = Readonly<Partial<Record<'TEST_CRASH' | 'TEST_HANG' | 'TEST_REFUSE', string>>>;

let device: GpuDevice | undefined;
tests.after(() => device?.close());

interface Tried {
  readonly target: Target;
  readonly notes: readonly string[];
  /** Verdicts by kernel, as they are remembered. */
  readonly remembered: Readonly<Record<string, string>>;
}

/** What comes of a case's kernels where all variants come into question. */
async function tryCase(
  name: string,
  file: string,
  faults: Faults,
  options: Partial<TrialOptions> = {},
): Promise<Tried> {
  const rewrite = (code: string) => emulateMatrices(code, SQUARE.subgroup);
  device ??= await openChanged({ matrices: SQUARE, lanes: undefined }, { kernels: 'f16', rewrite });
  const notes: string[] = [];
  const path = join(folder, file);
  const adapter = { allowSoftware: true };
  const tell = (note: string) => notes.push(note);
  Object.assign(process.env, faults);
  try {
    const trials = new Trials({ adapter, file: path, tell, program: crashing, ...options });
    const tuner = new Tuner('full', join(folder, 'no-choices.json'));
    const target = await trials.admitted(device.gpu, prepareNamed(name).module, device.target, tuner);
    const remembered = existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : {};
    return { target, notes, remembered };
  } finally {
    for (const fault of Object.keys(faults)) delete process.env[fault];
  }
}

/** Names of the variants that a target offers for a case's products. */
function offeredOn(target: Target, name = CASE): string[] {
  const names = new Set<string>();
  const choose: Target['choose'] = (_key, variants) => {
    for (const variant of variants) names.add(variant.name);
    return undefined;
  };
  layOut(prepareNamed(name).module, { ...target, choose });
  return [...names].sort();
}

const LARGEST = 'const TILE_N: u32 = 256;';
const ANY = 'const MATRIX_M: u32';

test('what crashes is left out, the rest is used, and the verdict is remembered', async () => {
  const { target, notes, remembered } = await tryCase(CASE, 'one.json', { TEST_CRASH: LARGEST });
  const all = offeredOn(device!.target);
  assert.equal(
    offeredOn(target),
    all.filter((name) => name !== 'matrix 128 x 256 x 32'),
  );
  assert.is(notes.length, 1);
  assert.match(
    notes[0]!,
    /: 1 kernels on subgroup matrices are left out, .*linear_matrix: .* crashed \(SIGABRT\)/,
  );
  const crashed = Object.values(remembered).filter((verdict) => verdict !== 'made');
  assert.equal(crashed, ["the driver's compiler crashed (SIGABRT)"]);
  assert.is(Object.keys(remembered).length, all.filter((name) => name.startsWith('matrix')).length);
  // No program: nothing is tried again.
  const again = await tryCase(CASE, 'one.json', {}, { program: new URL('file:///nowhere.js') });
  assert.equal(offeredOn(again.target), offeredOn(target));
  assert.equal(again.notes, notes);
});

test('where all crash, other kernels give the results', async () => {
  const { target, notes } = await tryCase(CASE, 'all.json', { TEST_CRASH: ANY });
  assert.ok(offeredOn(target).every((name) => name.startsWith('generic')));
  assert.is(notes.length, 1);
  const compile: GpuDevice['compile'] = (module) => WebGpuSession.compile(device!.gpu, module, target);
  await runCase({ ...device!, compile, plan: device!.plan }, prepareNamed(CASE), true);
});

test('attention falls back as a whole', async () => {
  const { op, label } = cases.find(
    (opCase) => opCase.op === 'attention' && /^2 x 128, .* of 96/.test(opCase.label),
  )!;
  const name = `${op} ${label}`;
  const { module } = prepareNamed(name);
  const files = (target: Target) => dispatchesOf(module, target).map(({ file }) => file);
  const { target } = await tryCase(name, 'attention.json', { TEST_CRASH: 'fn attention_o' });
  assert.ok(files(device!.target).includes('attention_matrix'));
  assert.equal(files(target), ['attention']);
});

test('a pipeline that is refused, and one that hangs, are left out', async () => {
  const faults = { TEST_REFUSE: LARGEST, TEST_HANG: 'const TILE_M: u32 = 16;' };
  const { remembered } = await tryCase(CASE, 'hang.json', faults, { limitMs: 6000 });
  const verdicts = new Set(Object.values(remembered));
  assert.ok(verdicts.has('not on this GPU'));
  assert.ok(verdicts.has("the driver's compiler did not come to an end"));
  assert.ok(verdicts.has('made'));
});

test('where no process can be had, kernels are used untried, and nothing is remembered', async () => {
  const { target, notes, remembered } = await tryCase(
    CASE,
    'none.json',
    {},
    { program: new URL('file:///nowhere.js') },
  );
  assert.equal(offeredOn(target), offeredOn(device!.target));
  assert.is(notes.length, 1);
  assert.match(notes[0]!, /^kernels on subgroup matrices are used untried: .*exited with code 1$/);
  assert.equal(remembered, {});
});

test('pipelines that a driver makes are admitted', async () => {
  const real = new URL('../../../dist/devices/webgpu/trialProcess.js', import.meta.url);
  const { target, notes, remembered } = await tryCase(CASE, 'real.json', {}, { program: real });
  assert.equal(offeredOn(target), offeredOn(device!.target));
  assert.equal(notes, []);
  assert.equal([...new Set(Object.values(remembered))], ['made']);
});

tests.run();
