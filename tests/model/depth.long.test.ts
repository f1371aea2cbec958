import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openDevice } from '#src/devices/openDevice.js';
import { gpuSuite } from '../devices/gpuDevice.js';
import { Random } from '../ops/cases.js';
import { type ReferenceSession, referenceDevice } from '../program/referenceDevice.js';
import { Training } from '../training/training.js';
import type { Style } from './deepModels.js';
import {
  compare,
  deepProblem,
  expectClose,
  type Gradients,
  gradientsOn,
  HALF_KERNELS,
  openHalves,
  referenceGradients,
} from './depth.js';

/** Gradients through 16 blocks. Deeper ones, and all styles of models: tests/campaign/depth.test.ts. */

const LAYERS = 16;
const CASES: readonly (readonly [Style, boolean])[] = [
  ['trained', true],
  ['outliers', false],
];
/** f32 has 2^13 times the precision of halves. */
const F32_ERROR = 5e-4;

const reference = suite('references through 16 blocks');

reference('the gradient along a direction is that of finite differences', async () => {
  const { options, batch } = deepProblem(LAYERS, 'trained', false);
  const training = await Training.start({ ...options, device: referenceDevice });
  const { interpreter } = training.session as ReferenceSession;
  const { trained, step, optimizer } = training.student;
  const lossAt = async (): Promise<number> => {
    await training.learn(batch);
    return interpreter.read(step.ce).reduce((sum, loss) => sum + loss, 0);
  };
  await training.learn(batch);
  const random = new Random(11);
  let slope = 0;
  const lines = [...trained.values].map(([name, value]) => {
    const start = interpreter.read(value).slice();
    const gradient = interpreter.read(optimizer.gradients.get(name)!);
    const direction = start.map(() => random.normal());
    slope += gradient.reduce((sum, g, i) => sum + g * direction[i]!, 0);
    return { value, start, direction };
  });
  const moved = (by: number): Promise<number> => {
    for (const { value, start, direction } of lines) {
      interpreter.write(
        value,
        start.map((x, i) => x + by * direction[i]!),
      );
    }
    return lossAt();
  };
  const by = 1e-6;
  const difference = ((await moved(by)) - (await moved(-by))) / (2 * by);
  assert.ok(Math.abs(difference / slope - 1) < 1e-4, `expected ${difference}, found ${slope}`);
});

reference.run();

for (const [style, isTaught] of CASES) {
  const problem = deepProblem(LAYERS, style, isTaught);
  const { tests, test } = gpuSuite(`16 blocks, ${style}, ${isTaught ? 'with a teacher' : 'text alone'}`);
  let expected: Gradients;
  tests.before(async () => {
    expected = await referenceGradients(problem);
  });

  tests('wasm: every gradient is that of f64', async () => {
    const [worst] = compare(await gradientsOn(await openDevice('wasm', { threads: 2 }), problem), expected);
    assert.ok(worst!.relative <= F32_ERROR, `${worst!.tensor} is off by ${worst!.relative} of its size`);
  });

  for (const kernels of HALF_KERNELS) {
    test(`${kernels}: every gradient is that of f64, within 2 %`, async () => {
      const kinds = expectClose(await gradientsOn(await openHalves(kernels), problem), expected);
      assert.is(kinds.size, 14);
    });
  }

  tests.run();
}
