import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { dialectOf, translated } from '#src/devices/webgpu/dialect.js';
import { openNullDevice } from './nullDevice.js';

/** The names of subgroup matrices, and which of them a device is spoken to by. */

const STANDARD = 'enable subgroup_matrix;';
const DAWN = 'enable chromium_experimental_subgroup_matrix;';

interface Fake {
  readonly features: readonly string[];
  /** Whether a module with this text compiles, and a pipeline can be made of it. */
  readonly accepts: (code: string) => boolean;
}

/** As much of a device as the probe uses. */
function fakeDevice({ features, accepts }: Fake): GPUDevice {
  let failed = false;
  const device = {
    features: new Set(features),
    pushErrorScope: () => {
      failed = false;
    },
    createShaderModule: ({ code }: GPUShaderModuleDescriptor) => {
      failed = !accepts(code);
      return code;
    },
    popErrorScope: () => Promise.resolve(failed ? { message: 'refused' } : null),
    createComputePipelineAsync: ({ compute }: { compute: { module: string } }) =>
      accepts(compute.module) ? Promise.resolve({}) : Promise.reject(new Error('refused')),
  };
  return device as unknown as GPUDevice;
}

const sizes = (subgroupMinSize: number, subgroupMaxSize: number) =>
  ({ subgroupMinSize, subgroupMaxSize }) as GPUAdapterInfo;

const BOTH = ['subgroup-matrix', 'chromium-experimental-subgroup-matrix', 'subgroup-size-control'];

test('the standard is spoken where it is understood, else as Dawn does today', async () => {
  const any = await dialectOf(fakeDevice({ features: BOTH, accepts: () => true }), sizes(32, 32));
  assert.is(any.matrices?.extension, 'subgroup_matrix');
  const accepts = (code: string) => !code.includes(STANDARD);
  const old = await dialectOf(fakeDevice({ features: BOTH, accepts }), sizes(32, 32));
  assert.is(old.matrices?.extension, 'chromium_experimental_subgroup_matrix');
  const renamed = await dialectOf(
    fakeDevice({ features: BOTH.slice(0, 1), accepts: () => true }),
    sizes(32, 32),
  );
  assert.is(renamed.matrices?.feature, 'subgroup-matrix');
});

test('a device whose matrices work differently from how kernels use them has none', async () => {
  const none = await dialectOf(fakeDevice({ features: BOTH, accepts: () => false }), sizes(32, 64));
  assert.equal(none, { matrices: undefined, subgroup: undefined });
  const lacking = await dialectOf(fakeDevice({ features: [], accepts: () => true }), sizes(32, 64));
  assert.equal(lacking, { matrices: undefined, subgroup: undefined });
});

test('kernels ask for the smallest subgroups that can be had, where there are several sizes', async () => {
  const subgroupOf = async (fake: Partial<Fake>, least: number, most: number) =>
    (await dialectOf(fakeDevice({ features: BOTH, accepts: () => true, ...fake }), sizes(least, most)))
      .subgroup;
  assert.is(await subgroupOf({}, 32, 64), 32);
  assert.is(await subgroupOf({}, 32, 32), undefined);
  const accepts = (code: string) => !code.includes('@subgroup_size(8)');
  assert.is(await subgroupOf({ accepts }, 8, 32), 16);
  assert.is(await subgroupOf({ features: BOTH.slice(0, 2) }, 32, 64), undefined);
});

test('a kernel is translated as a whole', () => {
  const code = `${STANDARD}
enable subgroup_size_control;
diagnostic(off, subgroup_matrix_uniformity);
@compute @workgroup_size(THREADS) @subgroup_size(SUBGROUP_SIZE)
fn main() {}`;
  const matrices = {
    feature: 'chromium-experimental-subgroup-matrix',
    extension: 'chromium_experimental_subgroup_matrix',
    rule: 'chromium.subgroup_matrix_uniformity',
  };
  assert.is(translated(code, { subgroup: 32 }), code);
  const sized = translated(code, { matrices, subgroup: 32 });
  assert.match(sized, DAWN);
  assert.match(sized, 'diagnostic(off, chromium.subgroup_matrix_uniformity);');
  assert.match(sized, '@subgroup_size(SUBGROUP_SIZE)');
  assert.not.match(translated(code, { matrices }), /subgroup_size/);
});

test("Dawn's null backend has matrices", async () => {
  const { dialect } = await openNullDevice();
  assert.ok(dialect.matrices);
});

test.run();
