import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadTokenizer } from '#src/index.js';
import { openModelFiles } from '#src/model/modelFiles.js';
import { gpuSuite } from '../devices/gpuDevice.js';
import { deepAdapter, STYLES } from '../model/deepModels.js';
import {
  deepProblem,
  expectClose,
  type Gradients,
  gradientsOn,
  HALF_KERNELS,
  openHalves,
  type Problem,
  referenceGradients,
} from '../model/depth.js';
import { projectRoot } from '../support.js';

/**
 * Gradients through 16 and 30 blocks, for every style of model, with a teacher and without; and of a real model, where
 * RIVULET_DEEP_MODEL names its folder. Prints the worst tensor of each kind.
 */

function compared(name: string, problem: () => Promise<Problem>): void {
  const { tests, test } = gpuSuite(name);
  let expected: Gradients | undefined;
  for (const kernels of HALF_KERNELS) {
    test(`${kernels}: every gradient is that of f64, within 2 %`, async () => {
      const made = await problem();
      expected ??= await referenceGradients(made);
      const kinds = expectClose(await gradientsOn(await openHalves(kernels), made), expected);
      for (const [kind, { tensor, cosine, relative }] of kinds) {
        const numbers = `cosine ${cosine.toFixed(6)}, off by ${(100 * relative).toFixed(2)} %`;
        console.log(`${name}, ${kernels}: ${kind}: ${numbers} (${tensor})`);
      }
    });
  }
  tests.run();
}

for (const layers of [16, 30]) {
  for (const style of STYLES) {
    for (const isTaught of [false, true]) {
      const name = `${layers} blocks, ${style}, ${isTaught ? 'with a teacher' : 'text alone'}`;
      compared(name, async () => deepProblem(layers, style, isTaught));
    }
  }
}

const folder = process.env.RIVULET_DEEP_MODEL;
if (folder === undefined) console.log('a real model is skipped: RIVULET_DEEP_MODEL names none');
else compared(folder, () => realProblem(folder));

/** A row of 64 tokens of real text. */
async function realProblem(path: string): Promise<Problem> {
  const [student, tokenizer] = [openModelFiles(path), await loadTokenizer(path)];
  const ids = tokenizer.encode(readFileSync(join(projectRoot, 'docs/design.md'), 'utf8'));
  const sequence = 64;
  const batch = {
    ...{ rows: 1, sequence, tokens: ids.slice(0, sequence) },
    labels: Int32Array.from(ids.slice(1, sequence + 1)),
    positions: Uint32Array.from({ length: sequence }, (_, i) => i),
  };
  const objective = { alpha: 0, temperature: 1, weightDecay: 0, microRows: 1, sequence };
  return {
    batch,
    options: { student, teacher: undefined, adapter: deepAdapter(student.config, 5), ...objective },
  };
}
