import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Device, HostArray } from '#src/devices/device.js';
import { layOut } from '#src/devices/webgpu/layout.js';
import type { Dispatch, Matrices, Target } from '#src/devices/webgpu/lowering/lowering.js';
import { Pipelines, type Rewrite } from '#src/devices/webgpu/pipelines.js';
import { Builder } from '#src/program/builder.js';
import { linear, linearDw } from '#src/program/ops/linear.js';
import type { Module } from '#src/program/types.js';
import { type PreparedCase, record, runCase } from '../ops/harness.js';
import { cases } from '../ops/index.js';
import { emulateMatrices } from './emulatedMatrices.js';
import { dispatchesOf, gpuSuite, openChanged, prepareNamed } from './gpuDevice.js';
import { expectValid, openNullDevice } from './nullDevice.js';

/** The variants of products (lowering/linearVariants.ts) beside the one that the adapter at hand would use. */

const KIB = 1024;
const LIMITS: Target = {
  ...{ bufferBytes: 2 ** 31, bindingBytes: 2 ** 31, groups: 65_535, workgroupBytes: 48 * KIB },
  ...{ precision: 'f16', matrices: null },
};
/** Of NVIDIA, Apple and Intel GPUs. */
const SQUARE: Matrices = { m: 16, n: 16, k: 16, subgroup: 32 };
const SMALL: Matrices = { m: 8, n: 8, k: 8, subgroup: 32 };
const FLAT: Matrices = { m: 8, n: 16, k: 16, subgroup: 32 };

/** The modules of the cases whose ops are products. */
const modules = cases
  .filter(({ op }) => op.startsWith('linear') || op === 'joint_loss_head')
  .map((opCase) => record(opCase).module);

/** Every kernel with subgroup matrices of every variant of the products of tests/ops on a target, once. */
function matrixKernelsOn(target: Target): Dispatch[] {
  const kernels = new Map<string, Dispatch>();
  const choose: Target['choose'] = (_key, variants) => {
    for (const kernel of variants.flatMap(({ dispatches }) => dispatches)) {
      kernels.set(JSON.stringify([kernel.file, kernel.types, kernel.constants]), kernel);
    }
    return undefined;
  };
  for (const module of modules) layOut(module, { ...target, choose });
  return [...kernels.values()].filter(({ file }) => file === 'linear_matrix');
}

const validated = suite('subgroup matrices on the null backend');

validated('every shader is valid', async () => {
  const nullDevice = await openNullDevice();
  const kernels = matrixKernelsOn({ ...LIMITS, matrices: SQUARE });
  assert.ok(kernels.length > 100, `found ${kernels.length} kernels`);
  await expectValid(nullDevice, kernels);
});

validated('shaders for matrices of other shapes are valid', async () => {
  const nullDevice = await openNullDevice();
  for (const matrices of [SMALL, FLAT]) {
    const kernels = matrixKernelsOn({ ...LIMITS, matrices });
    const tiles = new Map(
      kernels.map((kernel) => [`${kernel.constants.TILE_M} ${kernel.constants.TILE_N}`, kernel]),
    );
    assert.is(tiles.size, 5);
    await expectValid(nullDevice, [...tiles.values()]);
  }
});

validated('pipelines of what fits the backend are valid', async () => {
  const { adapter, device, dialect } = await openNullDevice();
  const matrices = { ...SQUARE, subgroup: adapter.info.subgroupMaxSize! };
  const target = { ...LIMITS, matrices, workgroupBytes: adapter.limits.maxComputeWorkgroupStorageSize };
  const kernels = matrixKernelsOn(target);
  assert.ok(kernels.length > 10, `found ${kernels.length} kernels`);
  const pipelines = new Pipelines(device, dialect);
  for (const kernel of kernels) await pipelines.get(kernel);
});

validated('a shader that is not valid is refused', async () => {
  const { device, dialect } = await openNullDevice();
  const [kernel] = matrixKernelsOn({ ...LIMITS, matrices: SQUARE });
  const broken = new Pipelines(device, dialect, (code) => code.replace('row_major', 'major'));
  const error = await broken.get(kernel!).catch((reason: Error) => reason);
  assert.match(String(error), /^Error: kernels\/linear_matrix\.wgsl does not compile: .*major/);
});

validated.run();

const chosen = suite('choice of a variant');

/** x [m, k] times a weight [n, k]. */
function forward(m: number, k: number, n: number): Module {
  const b = new Builder();
  const x = b.value('input', 'x', [m, k]);
  const weight = b.value('weight', 'w', [n, k]);
  b.program('run', { arena: 'a' }, () => linear(b, 'y', [{ x, weight }]));
  return b.module();
}

/** The gradient [m, n] of a weight for k rows. */
function gradient(m: number, k: number, n: number): Module {
  const b = new Builder();
  const [dy, x] = [b.value('input', 'dy', [k, m]), b.value('input', 'x', [k, n])];
  b.program('run', { arena: 'a' }, () => linearDw(b, dy, x, 1, null));
  return b.module();
}

function chosenOn(target: Target, module: Module): string {
  const [{ file, constants }] = dispatchesOf(module, target) as [Dispatch];
  return `${file} ${constants.TILE_M} x ${constants.TILE_N}`;
}

chosen('by default it suits the shape', () => {
  const matrix = { ...LIMITS, matrices: SQUARE };
  assert.is(chosenOn(matrix, forward(8192, 2048, 8192)), 'linear_matrix 128 x 128');
  assert.is(chosenOn(matrix, forward(1024, 2048, 512)), 'linear_matrix 64 x 64');
  assert.is(chosenOn(matrix, forward(8192, 2048, 8)), 'linear_matrix 64 x 16');
  assert.is(chosenOn(matrix, gradient(8, 8192, 2048)), 'linear_matrix 16 x 64');
  assert.is(chosenOn(LIMITS, forward(8192, 2048, 8192)), 'linear 128 x 64');
  assert.is(chosenOn(LIMITS, forward(512, 512, 512)), 'linear 64 x 64');
  assert.is(chosenOn({ ...LIMITS, lanes: 8 }, forward(512, 512, 512)), 'linear_lanes 16 x 16');
  assert.is(chosenOn({ ...LIMITS, lanes: 16 }, forward(512, 512, 512)), 'linear 64 x 64');
});

chosen('what the adapter has no room or no shape for is not offered', () => {
  const names = (target: Target) => {
    const offered: string[] = [];
    const choose: Target['choose'] = (_key, variants) => {
      offered.push(...variants.map(({ name }) => name).filter((name) => name.startsWith('matrix')));
      return undefined;
    };
    layOut(forward(512, 512, 512), { ...target, choose });
    return offered.sort();
  };
  const small = { ...LIMITS, matrices: SQUARE, workgroupBytes: 16 * KIB };
  assert.equal(names(small), ['matrix 16 x 64 x 64', 'matrix 64 x 16 x 64', 'matrix 64 x 64 x 32']);
  const wide = { m: 32, n: 32, k: 64, subgroup: 32 };
  assert.equal(names({ ...LIMITS, matrices: wide }), ['matrix 128 x 128 x 64']);
  assert.equal(names(LIMITS), []);
});

chosen('operands are read in vectors where they lie so', () => {
  const wordsOf = (module: Module) => {
    const [{ types }] = dispatchesOf(module, { ...LIMITS, matrices: SQUARE }) as [Dispatch];
    return [types.X1, types.W1];
  };
  assert.equal(wordsOf(forward(7, 64, 9)), ['vec4u', 'vec4u']);
  assert.equal(wordsOf(forward(64, 68, 64)), ['u32', 'u32']);
  assert.equal(wordsOf(gradient(7, 13, 64)), ['u32', 'vec4u']);
  assert.equal(wordsOf(gradient(64, 13, 7)), ['vec4u', 'u32']);
});

chosen.run();

const { tests: computed, test } = gpuSuite('variants of products');

/** Cases by what they reach: every order of the factors, in vectors and not, every base, one term and two, slices of k. */
const FORWARD = 'linear 136 x 264 to 200, f16, base, bias, rank 8, scale 0.5';
const FORWARD_ODD = 'linear 13 x 289 to 65, bf16, no base, rank 64, scale 0.5';
const INPUT_GRADIENT = 'linear_dx 136 x 264 back to 200, f16, base in place, rank 16';
const INPUT_GRADIENT_ODD = 'linear_dx 7 x 172 back to 43, f16, base, rank 4';
const WEIGHT_GRADIENT = 'linear_dw 264 rows, 200 x 136, base, scale 2';
const WEIGHT_GRADIENT_ODD = 'linear_dw 600 rows, 203 x 8, base in place, scale 2';
const DEEP_GRADIENT = 'linear_dw 1100 rows, 24 x 40, base, scale 2';
const BANDS = 'linear 1030 x 9 to 131, f32, no base, scale 0.5';
const SUBNORMAL = 'linear 7 x 40 to 33, f16, no base, weights / 65536';
const NARROW = 'linear 300 x 600 to 8, f32, no base, scale 0.25';
const FLAT_GRADIENT = 'linear_dw 300 rows, 8 x 600, no base, scale 2';
const HEAD =
  'joint_loss_head 70 tokens, 512 x 43 f32, teacher 500 x 96 f32, alpha 0.5, temperature 1, trained head';
const ANSWER =
  'joint_loss_head 1030 tokens, 131 x 24 f32, no teacher, alpha 0.5, temperature 1, 600 to 733 labelled';

interface Forced {
  readonly variant: string;
  readonly precision: 'f32' | 'f16';
  readonly matrices?: Matrices | undefined;
  /** Of a subgroup, where not the most that the matrices tell. */
  readonly threads?: number | undefined;
  readonly names: readonly string[];
}

const forced: readonly Forced[] = [
  {
    ...{ variant: 'generic 64 x 64', precision: 'f32' },
    names: [FORWARD, FORWARD_ODD, INPUT_GRADIENT_ODD, WEIGHT_GRADIENT_ODD, DEEP_GRADIENT, BANDS, ANSWER],
  },
  { variant: 'generic 128 x 64', precision: 'f16', names: [INPUT_GRADIENT, WEIGHT_GRADIENT, DEEP_GRADIENT] },
  { variant: 'generic 128 x 16', precision: 'f16', names: [NARROW] },
  { variant: 'generic 16 x 128', precision: 'f16', names: [FLAT_GRADIENT] },
  {
    ...{ variant: 'matrix 64 x 64 x 32', precision: 'f16', matrices: SQUARE },
    names: [FORWARD, INPUT_GRADIENT, WEIGHT_GRADIENT],
  },
  {
    ...{ variant: 'matrix 64 x 64 x 32', precision: 'f16', matrices: SMALL },
    names: [FORWARD_ODD, INPUT_GRADIENT_ODD, WEIGHT_GRADIENT_ODD, SUBNORMAL, HEAD, ANSWER],
  },
  // Frozen weights as bf16.
  { variant: 'matrix 64 x 64 x 32', precision: 'f32', matrices: SMALL, names: [FORWARD_ODD, BANDS] },
  {
    // Subgroups that are smaller than the adapter's largest.
    ...{ variant: 'matrix 128 x 128 x 32', precision: 'f16', matrices: FLAT, threads: 16 },
    names: [WEIGHT_GRADIENT],
  },
  { variant: 'matrix 64 x 16 x 64', precision: 'f16', matrices: SQUARE, names: [NARROW, DEEP_GRADIENT] },
  { variant: 'matrix 16 x 64 x 64', precision: 'f16', matrices: SMALL, names: [FLAT_GRADIENT] },
];

/** The adapter at hand as a device that computes all products by one variant, with matrices emulated. */
function openForced(
  { variant, precision, matrices, threads }: Omit<Forced, 'names'>,
  change: Rewrite = (code) => code,
) {
  const choose: Target['choose'] = (key, variants) => {
    const chosen = variants.find(({ name }) => name === variant);
    assert.ok(chosen, `${variant} is none of ${variants.map(({ name }) => name)}, for ${key}`);
    return chosen;
  };
  const rewrite: Rewrite = (code) => emulateMatrices(change(code), threads ?? matrices?.subgroup ?? 1);
  return openChanged(
    { matrices: matrices ?? null, lanes: undefined, choose },
    { kernels: precision, rewrite },
  );
}

for (const { variant, precision, matrices, threads, names } of forced) {
  const shape = matrices ? ` of ${matrices.m} x ${matrices.n} x ${matrices.k}` : '';
  test(`${variant}${shape}, ${precision}`, async () => {
    const device = await openForced({ variant, precision, matrices, threads });
    for (const name of names) {
      await runCase(device, prepareNamed(name), precision === 'f16' || matrices !== undefined);
    }
    await device.close();
  });
}

/** Kernels that find no label anywhere. */
const blind: Rewrite = (code) =>
  code.replace('labels[shape.labels - 1 + i] >= 0', 'labels[shape.labels - 1 + i] > 1000000');

/** The cross-entropy of every token of a case. */
async function crossEntropies(device: Device, { module, inputs }: PreparedCase): Promise<HostArray> {
  const session = await device.compile(module);
  for (const value of module.values) {
    if (inputs[value.name]) await session.write(value, inputs[value.name]!.data);
  }
  await session.run(module.programs[0]!.name);
  const losses = await session.read(module.values.find(({ name }) => name === 'ce')!);
  await session.close();
  return losses;
}

const blinded = {
  'default products': () => openChanged({}, { rewrite: blind }),
  'generic products': () => openForced({ variant: 'generic 64 x 64', precision: 'f32' }, blind),
  'products by matrices': () =>
    openForced({ variant: 'matrix 64 x 64 x 32', precision: 'f16', matrices: SMALL }, blind),
};
for (const [name, open] of Object.entries(blinded)) {
  test(`${name} leave out tiles of tokens without a label`, async () => {
    const device = await open();
    const prepared = prepareNamed(ANSWER);
    const losses = await crossEntropies(device, prepared);
    const labels = prepared.inputs.labels!.data;
    losses.forEach((loss, t) => {
      const expected = labels[t]! < 0 ? 0 : Math.log(131);
      assert.ok(Math.abs(loss - expected) < 1e-5, `token ${t}: found ${loss}, expected ${expected}`);
    });
    await device.close();
  });
}

computed.run();
