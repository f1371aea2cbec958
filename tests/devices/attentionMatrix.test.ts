import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Dispatch, Matrices, Target } from '#src/devices/webgpu/lowering/lowering.js';
import { wideCase } from '../ops/attention.js';
import { prepare, record, runCase } from '../ops/harness.js';
import { cases } from '../ops/index.js';
import { emulateMatrices } from './emulatedMatrices.js';
import { dispatchesOf, type GpuDevice, gpuSuite, openChanged } from './gpuDevice.js';
import { expectValid, openNullDevice } from './nullDevice.js';

/** Attention by subgroup matrices: shaders by Dawn's null backend, numbers by emulation, against the case table. */

const SQUARE: Matrices = { m: 16, n: 16, k: 16, subgroup: 32 };
const SMALL: Matrices = { m: 8, n: 8, k: 8, subgroup: 32 };

const attentions = cases.filter(({ op }) => op.startsWith('attention'));
const isMatrix = ({ file }: Dispatch): boolean => file === 'attention_matrix';

const validated = suite('attention by matrices on the null backend');

for (const matrices of [SQUARE, SMALL]) {
  validated(`shaders of ${matrices.m} x ${matrices.n} x ${matrices.k} are valid`, async () => {
    const nullDevice = await openNullDevice();
    const target: Target = {
      ...{ bufferBytes: 2 ** 31, bindingBytes: 2 ** 31, groups: 65_535, workgroupBytes: 2 ** 15 },
      ...{ precision: 'f16', matrices },
    };
    const kernels = attentions
      .flatMap((opCase) => dispatchesOf(record(opCase).module, target))
      .filter(isMatrix);
    assert.equal([...new Set(kernels.map(({ entry }) => entry))].sort(), [
      ...['attention_lse', 'attention_matrix_dkv', 'attention_matrix_dq', 'attention_o'],
    ]);
    await expectValid(nullDevice, kernels);
  });
}

validated.run();

/** Matrices, and the heads they are tried on: each size makes shaders of its own. */
const SIZES: readonly (readonly [Matrices, RegExp])[] = [
  [SQUARE, /^2 x 128, .* heads of 96|heads of 128, documents 50/],
  [SMALL, /^2 x 128, .* heads of 48/],
];

for (const [matrices, heads] of SIZES) {
  const { tests, test } = gpuSuite(`attention by matrices of ${matrices.m} x ${matrices.n} x ${matrices.k}`);
  let device: GpuDevice | undefined;
  tests.after(() => device?.close());

  for (const opCase of [...attentions, wideCase].filter(({ label }) => heads.test(label))) {
    test(`${opCase.op} ${opCase.label}`, async () => {
      const rewrite = (code: string) => emulateMatrices(code, matrices.subgroup);
      device ??= await openChanged({ matrices }, { kernels: 'f16', rewrite });
      const prepared = prepare(opCase);
      assert.ok(dispatchesOf(prepared.module, device.target).some(isMatrix), 'expected matrices to be used');
      await runCase(device, prepared, true);
    });
  }

  tests.run();
}
